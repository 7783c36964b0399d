test("warns, ends, and remembers", function()
  load("quota.lua", "1")
  expect_sent{ "bytecount 10" }
  emit("client.established", { cid = 1, env = { common_name = "joe" } })
  emit("client.bytecount", { cid = 1, bytes_received = 300000, bytes_sent = 100000 })
  expect(#logged(), 0)
  emit("client.bytecount", { cid = 1, bytes_received = 600000, bytes_sent = 250000 })
  expect_logged("80 % of the quota are used")
  expect_sent{}
  emit("client.bytecount", { cid = 1, bytes_received = 800000, bytes_sent = 250000 })
  expect_sent{ [[client-kill 1 "HALT,the quota of today is used up"]] }
  emit("client.disconnect", { cid = 1, env = { common_name = "joe" } })
  emit("client.established", { cid = 2, env = { common_name = "joe" } })
  expect_sent{ [[client-kill 2 "HALT,the quota of today is used up"]] }
  clock.advance(86400)
  emit("client.established", { cid = 3, env = { common_name = "joe" } })
  expect_sent{}
end)
