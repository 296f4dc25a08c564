import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, toHex, type WallMillis, wallMillis } from '../../../src/core/base/index.ts'
import { addressNetwork } from '../../../src/core/onion/address-network.ts'
import { differingBuckets, type Offer, OnionDirectory, type OnionDescriptor } from '../../../src/core/onion/index.ts'
import { sha256 } from '../../../src/crypto/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { descriptorOf, hourMs, signedBy, start } from './descriptor-support.ts'

const nobody = (): boolean => false
const dayMs = 24 * hourMs
const at = (ms: number): WallMillis => wallMillis(start + ms)
const keyNamed = (name: string): Uint8Array => sha256(new TextEncoder().encode(name))

/** A directory whose descriptors are not signed: whoever fills it has verified them. */
function filled(options: { readonly maxEntries?: number; readonly isProtected?: (key: Uint8Array) => boolean } = {}) {
  const directory = new OnionDirectory({ isProtected: nobody, ...options })
  const add = (name: string, changes: Partial<OnionDescriptor> = {}, now: WallMillis = changes.issuedAt ?? start): Offer => {
    const descriptor = descriptorOf(keyNamed(name), changes)
    return directory.add(descriptor, bytesOf(descriptor), now)
  }
  const has = (name: string): boolean => directory.get(keyNamed(name)) !== undefined
  return { directory, add, has }
}

/** Other content, other bytes. */
const bytesOf = (descriptor: OnionDescriptor): Uint8Array => {
  const text = JSON.stringify({ ...descriptor, publicKey: toHex(descriptor.publicKey), onionKey: '', family: descriptor.family.map(toHex) })
  return new TextEncoder().encode(text)
}

const address = (index: number): string => `/ip4/${20 + (index % 200)}.${Math.floor(index / 200)}.1.1/tcp/9000`

test('the newest descriptor of a key is kept, whatever the order in which they come', () => {
  const { directory, add } = filled()
  assert.equal(add('a', { sequence: 2 }), 'new')
  assert.equal(add('a', { sequence: 1 }), 'older')
  assert.equal(add('a', { sequence: 2 }), 'known')
  assert.equal(add('a', { sequence: 3 }), 'newer')
  assert.equal(directory.size, 1)
  assert.equal(directory.get(keyNamed('a'))?.descriptor.sequence, 3)
})

test('of two descriptors with one number every node keeps the same one', () => {
  const views = [filled(), filled()]
  const changes = [{ bytesPerSecond: 1_000 }, { bytesPerSecond: 2_000 }]
  for (const [index, { add }] of views.entries()) for (const each of index === 0 ? changes : [...changes].reverse()) add('a', each)
  const [one, two] = views.map(({ directory }) => directory.summary())
  assert.deepEqual(one, two)
})

test('what is not of now is not taken, and goes when it expires', () => {
  const { directory, add, has } = filled()
  assert.equal(add('early', { issuedAt: at(700_000) }, start), 'future')
  assert.equal(add('late', {}, at(3 * hourMs + 600_000)), 'expired')
  assert.equal(add('skewed', { issuedAt: at(600_000) }, start), 'new')
  assert.equal(add('a'), 'new')
  assert.deepEqual(directory.expire(at(3 * hourMs)), [])
  assert.deepEqual(directory.expire(at(3 * hourMs + 600_000)), [keyNamed('a')])
  assert.ok(has('skewed') && !has('a'))
  assert.equal(directory.idsIn(Array.from({ length: 256 }, (_, bucket) => bucket)).length, 1)
})

test('the time at which a key was first seen stays while it is away, for 30 days', () => {
  const { directory, add } = filled()
  add('a')
  directory.expire(at(dayMs))
  assert.deepEqual(directory.seen(keyNamed('a')), { firstSeen: start, lastSeen: start })
  add('a', { issuedAt: at(20 * dayMs) })
  assert.deepEqual(directory.seen(keyNamed('a')), { firstSeen: start, lastSeen: at(20 * dayMs) })
  assert.equal(directory.get(keyNamed('a'))?.firstSeen, start)
  directory.expire(at(50 * dayMs - 1))
  assert.equal(directory.seen(keyNamed('a'))?.firstSeen, start)
  directory.expire(at(50 * dayMs))
  assert.equal(directory.seen(keyNamed('a')), undefined)
})

test('full, the newest of the most crowded network makes room, and everybody in another network stays', () => {
  const { directory, add, has } = filled({ maxEntries: 10 })
  for (let index = 0; index < 4; index++) add(`alone ${index}`, { addresses: [address(index)] }, at(index))
  for (let index = 0; index < 6; index++) add(`crowd ${index}`, { addresses: [`/ip4/99.1.${index}.1/tcp/9000`] }, at(10 + index))
  assert.equal(add('alone 4', { addresses: [address(4)] }, at(20)), 'new')
  assert.ok(!has('crowd 5') && has('crowd 4') && has('alone 4'))
  assert.equal(add('crowd 6', { addresses: ['/ip4/99.1.77.1/tcp/9000'] }, at(21)), 'full')
  assert.ok(!has('crowd 6') && has('crowd 4'))
  assert.equal(directory.size, 10)
})

test('an IPv6 /32 and a family that all of it name are crowds as well', () => {
  const { add, has } = filled({ maxEntries: 6 })
  for (let index = 0; index < 3; index++) add(`alone ${index}`, { addresses: [address(index)] })
  for (let index = 0; index < 3; index++) add(`six ${index}`, { addresses: [`/ip6/2600:${100 + index}::1/tcp/9000`] }, at(index))
  add('last', { addresses: [address(9)] }, at(9))
  assert.ok(has('six 2'), 'another /32 is another network')
  const same = filled({ maxEntries: 6 })
  for (let index = 0; index < 3; index++) same.add(`alone ${index}`, { addresses: [address(index)] })
  for (let index = 0; index < 3; index++) same.add(`six ${index}`, { addresses: [`/ip6/2600:1:${index}::1/tcp/9000`] }, at(index))
  same.add('last', { addresses: [address(9)] }, at(9))
  assert.ok(!same.has('six 2') && same.has('six 1') && same.has('last'))
  const names = ['x', 'y', 'z']
  const family = filled({ maxEntries: 5 })
  for (const [index, name] of names.entries())
    family.add(name, { addresses: [address(index)], family: names.filter((each) => each !== name).map(keyNamed) }, at(index))
  for (let index = 3; index < 6; index++) family.add(`alone ${index}`, { addresses: [address(index)] }, at(index))
  assert.ok(!family.has('z') && family.has('y') && family.has('alone 5'))
})

test('whoever names an honest relay as its family crowds only its own kind', () => {
  const { add, has } = filled({ maxEntries: 6 })
  add('mallory', { addresses: [address(50)], family: [keyNamed('honest')] })
  for (let index = 0; index < 4; index++) add(`mallory ${index}`, { addresses: [address(index)], family: [keyNamed('honest')] }, at(index))
  add('honest', { addresses: [address(60)] }, at(5))
  add('other', { addresses: ['/ip4/20.0.9.9/tcp/9000'] }, at(6))
  assert.ok(has('honest'))
})

test('protected keys never make room', () => {
  const guard = keyNamed('crowd 5')
  const { add, has } = filled({ maxEntries: 6, isProtected: (key) => toHex(key) === toHex(guard) })
  for (let index = 0; index < 6; index++) add(`crowd ${index}`, { addresses: [`/ip4/99.1.${index}.1/tcp/9000`] }, at(index))
  add('alone', { addresses: [address(1)] }, at(7))
  assert.ok(has('crowd 5') && !has('crowd 4'))
  const all = filled({ maxEntries: 2, isProtected: () => true })
  assert.equal(all.add('a'), 'new')
  assert.equal(all.add('b'), 'new')
  assert.equal(all.add('c'), 'full')
})

test('a flood of keys that claim addresses all over the world pushes out itself, and none that was seen for a day', () => {
  const random = new SeededRandom(5)
  const { directory, add, has } = filled({ maxEntries: 200 })
  const honest = Array.from({ length: 150 }, (_, index) => `honest ${index}`)
  // Many honest relays are with few hosters, and so in the most crowded networks.
  for (const name of honest) add(name, { addresses: [`/ip4/99.${random.integer(1, 5)}.1.1/tcp/9000`] })
  for (const name of honest) add(name, { issuedAt: at(dayMs), addresses: [`/ip4/99.${random.integer(1, 5)}.1.1/tcp/9000`] })
  for (let index = 0; index < 2_000; index++) {
    const claimed = `/ip4/${random.integer(20, 90)}.${random.integer(0, 255)}.1.1/tcp/9000`
    add(`sybil ${index}`, { issuedAt: at(dayMs + index), addresses: [claimed] })
  }
  assert.equal(honest.filter(has).length, 150)
  assert.equal(directory.size, 200)
  // Times of first sight are bounded as well, and the flood does not push out those of the honest.
  assert.equal(honest.filter((name) => directory.seen(keyNamed(name))?.firstSeen === start).length, 150)
})

test('the times of those that are away are bounded: the youngest go first', () => {
  const { directory, add } = filled({ maxEntries: 2 })
  add('old')
  directory.expire(at(4 * hourMs))
  for (let index = 0; index < 50; index++) add(`passing ${index}`, { issuedAt: at(5 * hourMs + index), addresses: [address(index)] })
  const kept = Array.from({ length: 50 }, (_, index) => directory.seen(keyNamed(`passing ${index}`))).filter((each) => each !== undefined)
  assert.equal(kept.length, 7)
  assert.equal(directory.seen(keyNamed('old'))?.firstSeen, start)
})

test('a directory comes back as it was saved, without what expired', () => {
  const directory = new OnionDirectory({ isProtected: nobody })
  const fresh = signedBy('fresh', { issuedAt: at(2 * hourMs) })
  const stale = signedBy('stale')
  for (const { descriptor, bytes } of [stale, fresh]) directory.add(descriptor, bytes, at(2 * hourMs))
  const saved = directory.save()
  const again = new OnionDirectory({ isProtected: nobody })
  again.restore(saved, at(4 * hourMs))
  assert.deepEqual(again.get(fresh.descriptor.publicKey), directory.get(fresh.descriptor.publicKey))
  assert.equal(again.get(stale.descriptor.publicKey), undefined)
  assert.deepEqual(again.seen(stale.descriptor.publicKey), { firstSeen: at(2 * hourMs), lastSeen: at(2 * hourMs) })
  assert.deepEqual(again.seen(fresh.descriptor.publicKey), { firstSeen: at(2 * hourMs), lastSeen: at(2 * hourMs) })
  const skewed = new OnionDirectory({ isProtected: nobody })
  skewed.restore(saved, at(hourMs + 3_000_000))
  assert.equal(skewed.seen(fresh.descriptor.publicKey)?.firstSeen, at(hourMs + 3_000_000), 'a time to come is now')
})

test('what was not saved by this software is refused', () => {
  const { directory } = filled()
  const { descriptor, bytes } = signedBy('a')
  directory.add(descriptor, bytes, start)
  const saved = directory.save()
  for (const damaged of [
    new Uint8Array(),
    saved.subarray(1),
    saved.subarray(0, -1),
    new Uint8Array([...saved, 0]),
    Uint8Array.of(2, ...saved.subarray(1))
  ])
    assert.throws(
      () => filled().directory.restore(damaged, start),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED') || isMeshError(error, 'UNSUPPORTED_VERSION')
    )
  assert.throws(
    () => filled({ maxEntries: 0 }).directory.restore(saved, start),
    (error) => isMeshError(error, 'MESSAGE_MALFORMED')
  )
})

test('two views with the same descriptors have the same summary, and differ in the buckets of what differs', () => {
  const [a, b] = [filled(), filled()]
  const names = Array.from({ length: 300 }, (_, index) => `relay ${index}`)
  for (const name of names) a.add(name)
  for (const name of [...names].reverse()) b.add(name)
  assert.deepEqual(a.directory.summary(), b.directory.summary())
  assert.deepEqual(differingBuckets(a.directory.summary(), b.directory.summary()), [])
  b.add('relay 7', { sequence: start + 1 })
  a.add('only a')
  const expected = [keyNamed('relay 7'), keyNamed('only a')].map(([first = 0]) => first).sort((x, y) => x - y)
  const buckets = differingBuckets(a.directory.summary(), b.directory.summary())
  assert.deepEqual(buckets, expected)
  const { lacking, unknown } = b.directory.compare(buckets, a.directory.idsIn(buckets))
  assert.deepEqual(lacking, [b.directory.get(keyNamed('relay 7'))?.bytes])
  assert.deepEqual(
    new Set(unknown.map(toHex)),
    new Set([a.directory.get(keyNamed('only a')), a.directory.get(keyNamed('relay 7'))].map((each) => toHex(each?.id ?? new Uint8Array())))
  )
})

test('networks are the first two bytes of IPv4, the first four of IPv6, and those of the relay for a place at a relay', () => {
  assert.equal(addressNetwork('/ip4/198.51.77.1/tcp/9000'), '4:c633')
  assert.equal(addressNetwork('/ip6/2600:1:2::3/tcp/9000/ws'), '6:26000001')
  assert.equal(addressNetwork('/ip4/198.51.77.1/tcp/9000/p2p/x/p2p-circuit'), '4:c633')
  assert.equal(addressNetwork('/dns4/example.org/tcp/9000'), undefined)
})
