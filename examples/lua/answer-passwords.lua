#!/usr/bin/env -S moongate run
-- Answers username/password prompts and private key prompts from a file, with one-time codes where asked.
--
-- usage:  moongate run answer-passwords.lua --allow read=credentials.json [-- credentials.json]
--
-- The file lies beside this script, readable by its owner alone:
--
--   { "Auth":        { "username": "joe", "password": "correct horse", "totp": "JBSWY3DPEHPK3PXP" },
--     "Private Key": { "password": "battery staple" } }
--
-- "totp" is the base32 secret of an authenticator app; it answers static and dynamic challenges.

local name = moongate.args[1] or "credentials.json"

local function credentials(kind)
  local all = assert(json.decode(assert(file.read(name))))
  return all[kind]
end

local dynamic -- the challenge of the last refusal, to be answered at the next prompt

moongate.on("password.failed", function(ev)
  dynamic = ev.crv1
  if not dynamic then
    log.warn("refused", { type = ev.type, reason = ev.reason or "" })
  end
end)

moongate.on("password.need", function(ev)
  local c = credentials(ev.type)
  if not c then
    log.warn("no credentials for this prompt", { type = ev.type })
    return
  end
  local answer = { username = c.username, password = c.password }
  if dynamic then
    answer.username, answer.state_id = dynamic.username, dynamic.state_id
    dynamic = nil
  end
  if c.totp and (ev.challenge or answer.state_id) then
    answer.response = assert(otp.totp(c.totp))
  end
  local reply, err = ev:answer(answer)
  if reply then
    log.info("answered", { type = ev.type })
  else
    log.error(err, { type = ev.type })
  end
end)

moongate.on("hold", function(ev) ev:release() end)
