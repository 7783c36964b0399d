test("shows and lifts", function()
  load("bans.lua")
  expect_printed{}
  kill{ address = "192.0.2.7", ban = 600, reason = "too many wrong passwords" }
  kill{ name = "joe", ban = 60 }
  clock.advance(10)
  load("bans.lua")
  expect_printed{ "address 192.0.2.7, 590 seconds: too many wrong passwords", "name joe, 50 seconds" }
  load("bans.lua", "lift", "192.0.2.7")
  expect_printed{ "unbanned 192.0.2.7" }
  load("bans.lua")
  expect_printed{ "name joe, 50 seconds" }
  clock.advance(50)
  load("bans.lua")
  expect_printed{}
end)

test("who is not banned", function()
  local ok, err = pcall(load, "bans.lua", "lift", "joe")
  expect(ok, false)
  expect(err, "joe is not banned")
end)
