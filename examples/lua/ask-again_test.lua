local function play()
  local n = 0
  fake{ exec = function(c) n = n + 1 return { code = n > 9 and 1 or 0, stdout = "try" .. n .. " " .. c.stdin, stderr = "" } end }
  load("ask-again.lua", "joe", "dialogue")
  sent()
end

local function need() emit(">PASSWORD:Need 'Auth' username/password") end

test("asks again, and stops after three", function()
  play()
  need()
  expect_sent{ "username Auth joe", [[password Auth "try1 first"]] }
  emit(">PASSWORD:Verification Failed: 'Auth'")
  need()
  expect_sent{ "username Auth joe", [[password Auth "try2 wrong username or password"]] }
  need()
  sent()
  need()
  expect_sent{ "signal SIGTERM" }
  expect_logged("three wrong passwords")
end)

test("a connection forgives", function()
  play()
  for _ = 1, 2 do need() end
  emit("state", { name = "CONNECTED", detail = "SUCCESS" })
  sent()
  for _ = 1, 3 do need() end
  expect(#sent(), 6)
end)
