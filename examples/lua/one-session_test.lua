test("the newest wins", function()
  load("one-session.lua")
  emit("client.established", { cid = 1, env = { common_name = "joe" } })
  emit("client.established", { cid = 2, env = { common_name = "ann" } })
  emit("client.established", { cid = 3, env = { common_name = "joe" } })
  expect_sent{ [[client-kill 1 "HALT,you are connected elsewhere"]] }
  emit("client.disconnect", { cid = 1, env = { common_name = "joe" } })
  emit("client.established", { cid = 4, env = { common_name = "joe" } })
  expect_sent{ [[client-kill 3 "HALT,you are connected elsewhere"]] }
end)

test("who left is forgotten, and a username counts", function()
  load("one-session.lua")
  emit("client.established", { cid = 1, env = { common_name = "box", username = "joe" } })
  emit("client.established", { cid = 2, env = { common_name = "box", username = "ann" } })
  emit("client.disconnect", { cid = 1, env = { common_name = "box", username = "joe" } })
  emit("client.established", { cid = 3, env = { common_name = "box", username = "joe" } })
  expect_sent{}
end)
