-- The clock begins on Friday 2027-01-15, 08:00 UTC.
local function at(hour) clock.set(os.time{ year = 2027, month = 1, day = 15, hour = hour }) end

test("releases in its hours", function()
  at(9)
  load("hold-by-schedule.lua", "8-18")
  emit("hold")
  expect_sent{ "hold release" }
end)

test("waits for its hour", function()
  at(7)
  load("hold-by-schedule.lua", "8-18")
  emit("hold")
  expect_sent{}
  clock.advance(3600)
  expect_sent{ "hold release" }
end)

test("takes it down after hours", function()
  at(17)
  load("hold-by-schedule.lua", "8-18")
  emit("hold")
  expect_sent{ "hold release" }
  clock.advance(3630)
  expect(sent()[1], "signal SIGHUP")
end)

test("not on Saturday", function()
  clock.set(os.time{ year = 2027, month = 1, day = 16, hour = 9 })
  load("hold-by-schedule.lua", "8-18", "1-5")
  emit("hold")
  expect_sent{}
end)
