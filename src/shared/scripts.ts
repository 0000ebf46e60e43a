/**
 * What is decided in Redis, each in one atomic script. A script is asked by its name; its keys come first, all of them
 * under one prefix. Amounts are whole numbers below 2^53, which Lua's numbers hold exactly.
 *
 * Every change of a pot says how much its sender *has*, not how much more it wants, so a repeat after a lost answer
 * changes nothing, and a store that forgot everything learns it again from those who hold it.
 */
export const SCRIPTS = {
  /**
   * KEYS: members (when each was heard last), what each says of itself, one's own sign of life, the epoch. ARGV: instance,
   * about, how long a sign of life lasts in ms, the name of a new epoch. Answers the epoch, the store's time in ms, and everybody
   * who is alive, as id, about, id, about …
   *
   * The epoch is the mark that nothing was forgotten: it is made where there is none, with the time of its making, and never
   * removed. Where it is another than before, the store has lost its keys without a restart.
   */
  beat: `
local now = redis.call('TIME')
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
local ttl = tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], nowMs + ttl, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('SET', KEYS[3], '1', 'PX', ttl)
redis.call('SET', KEYS[4], ARGV[4] .. ' ' .. string.format('%.0f', nowMs), 'NX')
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', nowMs)
for _, id in ipairs(gone) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
local found = {redis.call('GET', KEYS[4]), string.format('%.0f', nowMs)}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  found[#found + 1] = id
  found[#found + 1] = redis.call('HGET', KEYS[2], id) or ''
end
return found`,

  /** KEYS as for \`beat\`. ARGV: instance. */
  leave: `
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[3])
return 1`,

  /**
   * Sets a share of a pot. KEYS: the pot, the epoch. ARGV: instance; spent by it; needed; wanted; ahead of that, at most half of what
   * is left; the pot's size; how long it is kept, in ms; the prefix of signs of life, or nothing where the shares of the
   * dead stay taken; 1 to set what is needed whatever others have; the share as it is now; the epoch as it is known.
   * Answers {granted, held by others, spent by others}; -1 granted: there is not enough, and the share stays as it is; -2:
   * nobody has opened this pot; -3: the store has forgotten what others hold since.
   */
  share: `
if ARGV[9] ~= '1' and redis.call('GET', KEYS[2]) ~= ARGV[11] then return {-3, 0, 0} end
local me = ARGV[1]
local spent, need, want, ahead, size = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local alive = ARGV[8]
local held, gone = 0, 0
local opened = alive ~= ''
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local kind, who, amount = string.sub(all[i], 1, 2), string.sub(all[i], 3), tonumber(all[i + 1])
  if kind == 'o:' then
    opened = true
  elseif who ~= me then
    if kind == 's:' then
      gone = gone + amount
    elseif alive ~= '' and redis.call('EXISTS', alive .. who) == 0 then
      redis.call('HDEL', KEYS[1], all[i])
    else
      held = held + amount
    end
  end
end
if not opened then return {-2, 0, 0} end
if alive == '' then redis.call('HSET', KEYS[1], 's:' .. me, string.format('%.0f', spent)) end
local room = size - held - gone - spent
local grant = -1
if ARGV[9] == '1' then
  grant = need
elseif need <= room then
  grant = math.min(want, room)
  grant = grant + math.min(ahead, math.floor((room - grant) / 2))
end
-- What was spent has left the share, also where it does not grow.
local left = grant >= 0 and grant or tonumber(ARGV[10])
redis.call('HSET', KEYS[1], 'l:' .. me, string.format('%.0f', left))
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {grant, held, gone}`,

  /**
   * Opens a pot for its sender: KEYS: the pot. ARGV: instance; spent by it; held by it; how long it is kept in ms; then
   * who else spent how much, which only counts where nobody has said so yet.
   */
  open: `
redis.call('HSET', KEYS[1], 'o:', '1', 's:' .. ARGV[1], ARGV[2], 'l:' .. ARGV[1], ARGV[3])
for i = 5, #ARGV, 2 do redis.call('HSETNX', KEYS[1], 's:' .. ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`,

  /** Gives up whatever a gateway's earlier life held of a pot of places. KEYS: the pot. ARGV: instance. */
  forget: `
if redis.call('HEXISTS', KEYS[1], 'o:') == 0 then redis.call('HDEL', KEYS[1], 'l:' .. ARGV[1]) end
return 1`,

  /**
   * Takes requests of leaky buckets (GCRA), of all or of none. KEYS: the buckets. ARGV: the time in ms, or nothing for the
   * store's own; how many are wanted, of which as many are given as there are; how many ahead of them, at most a quarter of
   * what is left; then for each bucket the time between two requests and its period, in ms. A negative number wanted gives so
   * many back. Answers {the bucket that refused, or 0; how many were taken; the time; then when each is due}. Times travel as
   * text, because they have fractions.
   */
  rate: `
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + t[2] / 1000
end
local wanted, ahead = tonumber(ARGV[2]), tonumber(ARGV[3])
local due, refused, count, extra = {}, 0, wanted, ahead
for i, key in ipairs(KEYS) do
  local each, period = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
  due[i] = math.max(now, tonumber(redis.call('GET', key) or '0'))
  if wanted > 0 then
    local room = math.floor((period - (due[i] - now)) / each + 0.000001)
    if refused == 0 and room < 1 then refused = i end
    count = math.min(count, room)
    extra = math.min(extra, math.max(0, math.floor((room - wanted) / 4)))
  end
end
if refused == 0 then
  count = count + extra
  for i, key in ipairs(KEYS) do
    local each, period = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
    due[i] = math.max(now, due[i] + count * each)
    redis.call('SET', key, string.format('%.6f', due[i]), 'PX', math.ceil(period) + 60000)
  end
end
local answer = {refused, count, string.format('%.6f', now)}
for i = 1, #KEYS do answer[3 + i] = string.format('%.6f', due[i]) end
return answer`,
} as const;

export type ScriptName = keyof typeof SCRIPTS;
