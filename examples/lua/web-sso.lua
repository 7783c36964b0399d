#!/usr/bin/env -S moongate run
-- Web single sign-on: the client opens a page, the page's service calls back, the client is admitted.
--
-- usage:  script web-sso.lua arg https://sso.example.net/login arg 127.0.0.1:8123 allow http
--
-- The client gets the address with a state of its own: URL?state=…. The service, behind a proxy of yours, confirms with
--
--   POST http://127.0.0.1:8123/verdict  {"state": "…", "user": "joe", "ok": true}
--
-- and the user must be the client's username, or its common name. Clients have 120 seconds, and must announce "webauth" or "openurl" (IV_SSO).

local url = assert(moongate.args[1], "usage: web-sso.lua URL LISTEN")
local listen = moongate.args[2] or "127.0.0.1:8123"
local seconds = 120

local waiting = {} -- state -> { user =, verdict = }

moongate.on("client.connect", function(ev)
  local sso = ev.env.IV_SSO or ""
  local method = sso:find("webauth", 1, true) and "WEB_AUTH::" or sso:find("openurl", 1, true) and "OPEN_URL:"
  if not method then
    ev:deny("its client cannot open a page", { client_reason = "a newer client is needed" })
    return
  end
  local state = random(16) -- nobody guesses it
  local w = { user = ev.username or ev.common_name }
  waiting[state] = w
  assert(ev:pending(method .. url .. "?state=" .. state, seconds))
  local ends = now() + seconds
  while w.verdict == nil and now() < ends do sleep(0.2) end
  waiting[state] = nil
  if w.verdict then
    assert(ev:admit())
  else
    ev:deny(w.verdict == nil and "no verdict in time" or "refused by the web service", { client_reason = "not signed in" })
  end
end, { timeout = seconds + 30 })

assert(http.serve(listen, function(request)
  if request.method ~= "POST" or request.path ~= "/verdict" then return { status = 404 } end
  local v = json.decode(request.body)
  local w = type(v) == "table" and waiting[v.state]
  if not w then return { status = 404, body = "no such state\n" } end
  w.verdict = v.ok == true and v.user == w.user
  return { status = w.verdict and 200 or 403 }
end))
