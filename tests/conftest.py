"""How long Hypothesis looks, and what it does not judge: the speed of a shared machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile(
    "long", parent=settings.get_profile("default"), max_examples=5000
)  # pytest --hypothesis-profile long
settings.register_profile(
    "thorough", parent=settings.get_profile("default"), max_examples=20_000
)  # for what money and goods hang on; with --timeout 0
settings.load_profile("default")
