#!/usr/bin/env -S moongate run
-- Answers username/password prompts from a secret store, with a one-time code as second factor.
--
-- usage:  moongate run passwords-from-store.lua --allow secret -- USERNAME PASSWORD-REFERENCE [CODE-REFERENCE]
--
--   moongate run passwords-from-store.lua --allow secret -- joe pass:vpn/work totp:pass:vpn/work-otp
--
-- References say where a secret is kept: env: file: pass: keyring: systemd:, cmd: with --allow exec, and totp: before any of them. A code is given
-- out once: a second prompt within the same half minute waits for the next. The code answers a challenge; without one it follows the password,
-- as servers with one field expect it.

local user, password_ref, code_ref = moongate.args[1], moongate.args[2], moongate.args[3]
assert(user and password_ref, "usage: passwords-from-store.lua USERNAME PASSWORD-REFERENCE [CODE-REFERENCE]")

local dynamic -- the challenge of the last refusal

moongate.on("password.failed", function(ev) dynamic = ev.crv1 end)

moongate.on("password.need", function(ev)
  if ev.type ~= "Auth" then return end
  local answer = { username = user, password = assert(secret(password_ref)) }
  local code = code_ref and assert(secret(code_ref))
  if dynamic then
    answer.username, answer.state_id, answer.response = dynamic.username, dynamic.state_id, code
    dynamic = nil
  elseif ev.challenge then
    answer.response = code
  elseif code then
    answer.password = answer.password .. code
  end
  local reply, err = ev:answer(answer)
  if not reply then log.error(err) end
end, { timeout = 90 })

moongate.on("hold", function(ev) ev:release() end)
