#!/usr/bin/env -S moongate run
-- Refuses clients outside office hours, and ends sessions when the hours do.
--
-- usage:  script office-hours.lua [arg 8-18] [arg 1-5]      in the configuration of a server with management-client-auth
--
-- Hours are of local time, days from 1 (Monday) to 7.

local from, to = (moongate.args[1] or "8-18"):match("^(%d+)-(%d+)$")
local first, last = (moongate.args[2] or "1-5"):match("^(%d)-(%d)$")
assert(from and first, "usage: office-hours.lua [FROM-TO [DAYS]]")
from, to, first, last = tonumber(from), tonumber(to), tonumber(first), tonumber(last)

local function open()
  local t = os.date("*t", math.floor(now()))
  local day = (t.wday + 5) % 7 + 1
  return day >= first and day <= last and t.hour >= from and t.hour < to
end

local function decide(ev)
  if open() then
    ev:admit()
  else
    ev:deny("outside office hours", { client_reason = "come back in office hours" })
  end
end

moongate.on("client.connect", decide)
moongate.on("client.reauth", decide)

moongate.every(60, function()
  if open() then return end
  for _, c in ipairs(clients() or {}) do
    kill{ cid = c.cid, reason = "HALT,office hours are over" }
  end
end)
