#!/usr/bin/env -S moongate run
-- Shows whom a script keeps out, and lifts a ban.
--
-- usage:  moongate run bans.lua --allow store=FILE [-- lift WHO]
--
--   moongate run bans.lua --allow store=/var/lib/moongate/bans.db
--   moongate run bans.lua --allow store=/var/lib/moongate/bans.db -- lift 192.0.2.7
--
-- FILE is the store of the script that bans, as block-brute-force.lua: that script lets WHO, an address or a name, in again at the next login.

local command, who = moongate.args[1], moongate.args[2]
assert(command == nil or command == "lift" and who, "usage: bans.lua [lift WHO]")

local found = false
for _, ban in ipairs(bans()) do
  local name = ban.address or ban.name
  if not command then
    print(("%s %s, %d seconds%s"):format(ban.address and "address" or "name", name, ban.seconds, ban.reason and ": " .. ban.reason or ""))
  elseif name == who then
    found = true
    print(assert(unban(ban)) .. " " .. name)
  end
end
if command and not found then error(who .. " is not banned", 0) end
