#!/usr/bin/env -S moongate run
-- Lets a held daemon start during certain hours, and takes it down after them.
--
-- usage:  moongate run hold-by-schedule.lua -- [FROM-TO [DAYS]]        default: 8-18 1-5
--
-- Hours are of local time, days from 1 (Monday) to 7. The daemon has management-hold: outside the hours it waits in the hold.

local from, to = (moongate.args[1] or "8-18"):match("^(%d+)-(%d+)$")
local first, last = (moongate.args[2] or "1-5"):match("^(%d)-(%d)$")
assert(from and first, "usage: hold-by-schedule.lua FROM-TO [DAYS]")
from, to, first, last = tonumber(from), tonumber(to), tonumber(first), tonumber(last)

local function open()
  local t = os.date("*t", math.floor(now()))
  local day = (t.wday + 5) % 7 + 1
  return day >= first and day <= last and t.hour >= from and t.hour < to
end

local held -- the hold that waits for its hour; false while the daemon is on its way down

moongate.on("hold", function(ev)
  held = ev
  if open() then
    held = nil
    ev:release()
  end
end)

moongate.every(30, function()
  if held and open() then
    local ev = held
    held = nil
    ev:release()
  elseif held == nil and not open() then
    log.info("out of hours: down to the hold")
    signal("SIGHUP")
    held = false
  end
end)
