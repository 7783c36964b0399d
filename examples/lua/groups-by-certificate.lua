#!/usr/bin/env -S moongate run
-- Admits clients by their certificate's organisational unit, and pushes each group its routes.
--
-- usage:  script groups-by-certificate.lua allow read=groups.json [arg groups.json]     in the configuration of a server with management-client-auth
--
-- The file lies beside the script and is read anew for every client:
--
--   { "staff":  ["route 10.10.0.0 255.255.0.0", "dhcp-option DNS 10.10.0.1"],
--     "guests": [] }
--
-- The group is X509_0_OU of the client's environment. A client of no group is refused.

local name = moongate.args[1] or "groups.json"

local function groups()
  local text, err = file.read(name)
  if not text then return nil, err end
  return json.decode(text)
end

local function decide(ev)
  local all, err = groups()
  if not all then
    log.error(err, { file = name })
    ev:deny("no list of groups", { client_reason = "TEMP:temporarily unavailable" })
    return
  end
  local unit = ev.env.X509_0_OU
  local pushes = unit and all[unit]
  if not pushes then
    ev:deny("no group " .. (unit or "(no unit)"), { client_reason = "not of a group" })
    return
  end
  local lines = {}
  for i, p in ipairs(pushes) do lines[i] = ('push "%s"'):format(p) end
  assert(ev:admit(lines))
  log.info("admitted", { client = ev.common_name, group = unit })
end

moongate.on("client.connect", decide)
moongate.on("client.reauth", decide)
