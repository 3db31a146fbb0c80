"""The cart's operations as Lua: each is one round trip and happens as a whole or not at all.

A cart is a hash: `l:<sku>` → `quantity:price_cents`, and `k:<idempotency key>` → fingerprint of what was done under it.
"""

from __future__ import annotations

from stack.kit.valkey import Script

# KEYS: cart. ARGV: key, fingerprint, time to live in seconds, most lines, most pieces of a line, most keys,
# then sku, quantity, price for each line.
# Gives the cart as HGETALL does, or the name of what is wrong; then nothing was changed.
ADD = Script("""
local cart = KEYS[1]
local done = redis.call('HGET', cart, 'k:' .. ARGV[1])
if done then
  if done ~= ARGV[2] then return 'key-reused' end
  return redis.call('HGETALL', cart)
end
local lines, keys = 0, 0
for _, field in ipairs(redis.call('HKEYS', cart)) do
  if string.sub(field, 1, 2) == 'l:' then lines = lines + 1 else keys = keys + 1 end
end
if keys >= tonumber(ARGV[6]) then return 'too-many-changes' end
local set = {'k:' .. ARGV[1], ARGV[2]}
for i = 7, #ARGV, 3 do
  local field, quantity = 'l:' .. ARGV[i], tonumber(ARGV[i + 1])
  local before = redis.call('HGET', cart, field)
  if before then
    quantity = quantity + tonumber(string.match(before, '^%d+'))
  else
    lines = lines + 1
  end
  if quantity > tonumber(ARGV[5]) then return 'too-many-pieces' end
  set[#set + 1] = field
  set[#set + 1] = string.format('%d:%s', quantity, ARGV[i + 2])
end
if lines > tonumber(ARGV[4]) then return 'too-many-lines' end
redis.call('HSET', cart, unpack(set))
redis.call('EXPIRE', cart, ARGV[3])
return redis.call('HGETALL', cart)
""")

# KEYS: cart, snapshot. ARGV: cart id, fingerprint of the order, time to live of the snapshot in seconds, the total in
# cents that the shopper has agreed to (0: any).
# Gives the snapshot: cart id, fingerprint, then sku and quantity:price in turns; or nothing for an empty cart. A cart
# that costs something else is given as it is, and not frozen: its shopper has to agree first.
FREEZE = Script("""
local frozen = redis.call('LRANGE', KEYS[2], 0, -1)
if #frozen > 0 then return frozen end
local snapshot = {ARGV[1], ARGV[2]}
local cart, total = redis.call('HGETALL', KEYS[1]), 0
for i = 1, #cart, 2 do
  if string.sub(cart[i], 1, 2) == 'l:' then
    snapshot[#snapshot + 1] = string.sub(cart[i], 3)
    snapshot[#snapshot + 1] = cart[i + 1]
    local quantity, price = string.match(cart[i + 1], '^(%d+):(%d+)$')
    total = total + tonumber(quantity) * tonumber(price)
  end
end
if #snapshot == 2 then return {} end
if tonumber(ARGV[4]) ~= 0 and tonumber(ARGV[4]) ~= total then return snapshot end
redis.call('RPUSH', KEYS[2], unpack(snapshot))
redis.call('EXPIRE', KEYS[2], ARGV[3])
return snapshot
""")
