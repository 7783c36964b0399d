#!/usr/bin/env -S moongate run
-- Tells a web service of clients that come and go, and tries again when it does not answer.
--
-- usage:  moongate run webhook.lua --allow http -- URL
--         Servers tell of clients that go only under management-client-auth.
--
-- Each event is a POST with JSON: {"event": "connect", "client": "joe", "cid": 3, "address": "192.0.2.7", "time": 1800000000}. An answer outside
-- 200 to 299, or none, is tried again after 1, 2, 4, … seconds, at most an hour apart, for a day. Events of one client arrive in order.

local url = assert(moongate.args[1], "usage: webhook.lua URL")
local day = 86400

local function tell(ev, what)
  local body = json.encode{
    event = what, client = ev.common_name or "", cid = ev.cid, address = ev.env.trusted_ip or ev.env.untrusted_ip or "", time = math.floor(now()),
  }
  local pause, give_up = 1, now() + day - 3700
  while true do
    local r, err = http.request{ url = url, method = "POST", body = body, headers = { ["Content-Type"] = "application/json" }, timeout = 10 }
    if r and r.status >= 200 and r.status < 300 then return end
    log.warn("the web service did not take it", { event = what, cid = ev.cid, reason = err or r.status, again = pause })
    if now() > give_up then
      log.error("given up", { event = what, cid = ev.cid })
      return
    end
    sleep(pause)
    pause = math.min(2 * pause, 3600)
  end
end

moongate.on("client.established", function(ev) tell(ev, "connect") end, { timeout = day })
moongate.on("client.disconnect", function(ev) tell(ev, "disconnect") end, { timeout = day })
