#!/usr/bin/env -S moongate run
-- Web single sign-on: the client opens a page, the page's service calls back, the client is admitted.
--
-- usage:  script web-sso.lua arg https://sso.example.net/login arg 127.0.0.1:8123 allow http,store
--
-- The client gets the address with a state of its own: URL?state=…. The service, behind a proxy of yours, confirms with
--
--   POST http://127.0.0.1:8123/verdict  {"state": "…", "user": "joe", "ok": true}
--
-- and the user must be the client's username, or its common name. Clients have 120 seconds, and must announce "webauth" or "openurl" (IV_SSO).
--
-- Who waits, and what the service said, is in the store: when this script is reloaded, the version that asked waits on, and the next one hears the service.

local url = assert(moongate.args[1], "usage: web-sso.lua URL LISTEN")
local listen = moongate.args[2] or "127.0.0.1:8123"
local seconds = 120

moongate.on("client.connect", function(ev)
  local sso = ev.env.IV_SSO or ""
  local method = sso:find("webauth", 1, true) and "WEB_AUTH::" or sso:find("openurl", 1, true) and "OPEN_URL:"
  if not method then
    ev:deny("its client cannot open a page", { client_reason = "a newer client is needed" })
    return
  end
  local state = random(16) -- nobody guesses it
  assert(store.set("user " .. state, ev.username or ev.common_name, { ttl = seconds }))
  assert(ev:pending(method .. url .. "?state=" .. state, seconds))
  local ends, verdict = now() + seconds, nil
  while not verdict and now() < ends do
    sleep(0.5)
    verdict = store.get("verdict " .. state)
  end
  store.delete("user " .. state)
  store.delete("verdict " .. state)
  if verdict == "yes" then
    assert(ev:admit())
  else
    ev:deny(verdict and "refused by the web service" or "no verdict in time", { client_reason = "not signed in" })
  end
end, { timeout = seconds + 30 })

assert(http.serve(listen, function(request)
  if request.method ~= "POST" or request.path ~= "/verdict" then return { status = 404 } end
  local v = json.decode(request.body)
  local user = type(v) == "table" and type(v.state) == "string" and v.state ~= "" and store.get("user " .. v.state)
  if not user then return { status = 404, body = "no such state\n" } end
  local ok = v.ok == true and v.user == user
  assert(store.delete("user " .. v.state)) -- a state is used once
  assert(store.set("verdict " .. v.state, ok and "yes" or "no", { ttl = seconds }))
  return { status = ok and 200 or 403 }
end))
