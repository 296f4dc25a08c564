import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { MeshError } from '../../src/core/base/index.ts'
import { tokenDigest } from '../../src/daemon/access.ts'
import { parseTokens, TokenBook } from '../../src/daemon/gateway/token-book.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { temporaryFolder } from './harness.ts'

test('a token is good until it expires, over restarts, and told from one that never was', (t) => {
  const file = join(temporaryFolder(t), 'tokens.json')
  let now = 1_000_000
  const book = new TokenBook(file, () => now)
  const { token } = book.create({ name: 'a', scope: 'agent', expiresInS: 60 })
  const forever = book.create({ name: 'b', scope: 'read', expiresInS: undefined })
  assert.deepEqual(book.check(tokenDigest(token)), { state: 'valid', scope: 'agent', expiresInMs: 60_000 })
  now += 59_999
  const again = new TokenBook(file, () => now)
  assert.deepEqual(again.check(tokenDigest(token)), { state: 'valid', scope: 'agent', expiresInMs: 1 })
  now += 1
  for (const each of [book, again]) {
    assert.deepEqual(each.check(tokenDigest(token)), { state: 'expired' })
    assert.deepEqual(each.check(tokenDigest(forever.token)), { state: 'valid', scope: 'read' })
    for (const wrong of ['', token.slice(0, -1), `${token}A`, token.toUpperCase()])
      assert.deepEqual(each.check(tokenDigest(wrong)), { state: 'unknown' })
  }
})

test('there are 64 tokens and no more, each name once', (t) => {
  const book = new TokenBook(join(temporaryFolder(t), 'tokens.json'))
  for (let index = 0; index < 64; index++) book.create({ name: `n${index}`, scope: 'read', expiresInS: undefined })
  assert.throws(() => book.create({ name: 'more', scope: 'read', expiresInS: undefined }), { code: 'OPTION_INVALID' })
  assert.throws(() => book.create({ name: 'n1', scope: 'read', expiresInS: undefined }), { code: 'TOKEN_EXISTS' })
  book.revoke('n1')
  assert.throws(() => book.revoke('n1'), { code: 'TOKEN_UNKNOWN' })
  book.create({ name: '__proto__', scope: 'read', expiresInS: undefined })
  assert.equal(book.size, 64)
})

test('a file of tokens that is open to others, or damaged, is refused and not begun anew', (t) => {
  const file = join(temporaryFolder(t), 'tokens.json')
  new TokenBook(file).create({ name: 'a', scope: 'agent', expiresInS: 60 })
  const good = readFileSync(file, 'utf8')
  const random = new SeededRandom(20_261_123)
  for (let index = 0; index < 10_000; index++) {
    const bytes = Buffer.from(good)
    const at = (random.bytes(1)[0] ?? 0) % bytes.length
    bytes[at] = random.bytes(1)[0] ?? 0
    try {
      assert.ok(parseTokens(index % 4 === 0 ? bytes.subarray(0, at) : bytes, file).length <= 1)
    } catch (error) {
      assert.ok(error instanceof MeshError && error.code === 'CONFIG_MALFORMED', String(error))
    }
  }
  const token = good.slice(good.indexOf('{', 1), good.lastIndexOf(']')).trim()
  for (const text of [
    '',
    'null',
    '[]',
    '{"version":2,"tokens":[]}',
    `{"version":1,"tokens":[${token},${token}]}`,
    '{"version":1,"tokens":[{"__proto__":1}]}'
  ]) {
    writeFileSync(file, text)
    assert.throws(() => new TokenBook(file), { code: 'CONFIG_MALFORMED' })
  }
  writeFileSync(join(file, '..', 'open.json'), good, { mode: 0o644 })
  assert.throws(() => new TokenBook(join(file, '..', 'open.json')), { code: 'PERMISSIONS_UNSAFE' })
})
