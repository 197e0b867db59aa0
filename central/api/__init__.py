"""HTTP: JSON for programs, the exchange for nodes, pages for people; one port, TLS only.

* `server`: the application, its routes and its socket.
* `refusals`: every error as a problem document.
* `access`: tokens and cookies. `questions`, `promises`, `machines`, `pages`: the
  answers.
"""
