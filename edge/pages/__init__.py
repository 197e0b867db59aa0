"""What people see in a browser at the counter: pages served by the node itself.

`pages` serves them and lets a browser in, `live` tells an open page what changes at its till
and at the node, `session` is the cookie. `web/` holds what is sent: one stylesheet, plain ES
modules, one JSON file of texts a language. No build step, nothing fetched from elsewhere. The
pages use the API everybody uses (`edge.api.routes`), so what they can do is described there.

The texts stand in JSON and not in gettext catalogues: all of them are shown by scripts in the
browser, which reads JSON by itself and has plural rules of its own (`Intl.PluralRules`); a
catalogue would have to be turned into just these files first.
"""
