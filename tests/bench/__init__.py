"""Speed, memory and bytes per sale, beside the peer or the limit in the same run.

    make bench                       # everything
    make bench ARGS="edge wire"      # some of it

Every figure is a ratio to something measured minutes before on the same machine;
nothing here is asserted by a test.
"""
