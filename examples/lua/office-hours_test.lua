local function at(hour, day) clock.set(os.time{ year = 2027, month = 1, day = day or 15, hour = hour }) end

for name, when in pairs{ ["in the hours"] = { 9, 15 }, ["in the evening"] = { 19, 15 }, ["on Saturday"] = { 9, 16 } } do
  test(name, function()
    at(unpack(when))
    load("office-hours.lua", "8-18", "1-5")
    emit("client.connect", { cid = 1 })
    emit("client.reauth", { cid = 1, kid = 2 })
    if name == "in the hours" then
      expect_sent{ "client-auth-nt 1 1", "client-auth-nt 1 2" }
    else
      local refused = [["outside office hours" "come back in office hours"]]
      expect_sent{ "client-deny 1 1 " .. refused, "client-deny 1 2 " .. refused }
    end
  end)
end

test("ends sessions when the hours are over", function()
  at(17)
  load("office-hours.lua", "8-18", "1-5")
  fake{ clients = { { cid = 7, common_name = "joe" } } }
  clock.advance(60)
  expect_sent{}
  clock.advance(3540)
  expect_sent{ "status 3", [[client-kill 7 "HALT,office hours are over"]] }
end)
