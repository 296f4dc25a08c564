import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { LogRecord, Mesh } from '../../src/mesh/mesh.ts'
import { until } from '../net/support.ts'
import { Deeds, type Mischief, mischiefs } from './hostile-relay.ts'
import { circuitInUse, deadlineMs, knowsRelays, leadOverMallory, type OnionScene, quickLimits, startOnionScene } from './onion-scene.ts'
import { allRead, Reader, sendStream } from './onion-stream.ts'

const endCodes = ['CIRCUIT_DESTROYED', 'CIRCUIT_INTEGRITY', 'CIRCUIT_VIOLATION']
const buildCodes = ['CIRCUIT_EXTEND_REFUSED', 'CIRCUIT_BUILD_TIMEOUT', 'CIRCUIT_HANDSHAKE_FAILED', 'CIRCUIT_INTEGRITY', 'CIRCUIT_DESTROYED']
const codeOf = (error: unknown): string => (isMeshError(error) ? error.code : String(error))

let scene: OnionScene
let reader: Reader
let backReader: Reader
before(async () => {
  scene = await startOnionScene()
  reader = new Reader(scene.bob)
  backReader = new Reader(scene.alice)
})
afterEach(() => scene.mallory.behave({}))
after(async () => {
  reader.stop()
  backReader.stop()
  await scene[Symbol.asyncDispose]()
})

const turns: Readonly<Record<string, (deeds: Deeds) => Mischief>> = {
  'drops a cell now and then': (deeds) => mischiefs.drop(deeds, 7),
  'drops all cells': (deeds) => mischiefs.dropAll(deeds),
  'flips a bit': (deeds) => mischiefs.flip(deeds, 7),
  'sends cells twice': (deeds) => mischiefs.duplicate(deeds, 7),
  'swaps cells': (deeds) => mischiefs.reorder(deeds, 7),
  'ends circuits': (deeds) => mischiefs.closeAtOnce(deeds)
}
for (const [name, turn] of Object.entries(turns))
  test(`while messages run it ${name}: the circuit ends with a named error, another carries on, nothing is lost`, async () => {
    const { alice, bob, mallory, records } = scene
    const before = await leadOverMallory(scene)
    records.length = 0
    const deeds = new Deeds()
    const onSent = (index: number): void => {
      if (index === 10) mallory.behave(turn(deeds))
    }
    const id = name.replaceAll(' ', '-')
    const [sent, back] = await Promise.all([
      sendStream(alice, bob.peerId, { name: id, count: 40, pauseMs: 3, onSent }),
      sendStream(bob, alice.peerId, { name: `${id}-back`, count: 20, pauseMs: 6 })
    ])
    assert.deepEqual([await allRead(reader, sent, 2 * deadlineMs), await allRead(backReader, back, 2 * deadlineMs)], [[], []], 'lost')
    assert.deepEqual([...(await reader.check()), ...(await backReader.check())], [], 'handed out again')
    assert.ok(deeds.count > 0, 'mallory did it')
    assert.ok(!(await alice.circuits()).some(({ id }) => id === before), 'the circuit is gone')
    const ends = records.filter(({ event }) => event === 'onion.circuit-ended').map(({ fields }) => String(fields['code']))
    assert.ok(ends.length > 0 && ends.every((code) => endCodes.includes(code)), ends.join())
  })

test('while messages run it is late with every cell: the circuit stays, and nothing is lost', async () => {
  const { alice, bob, mallory } = scene
  const before = await leadOverMallory(scene)
  const deeds = new Deeds()
  mallory.behave(mischiefs.delay(deeds, 60))
  const sent = await sendStream(alice, bob.peerId, { name: 'late', count: 40, pauseMs: 3 })
  assert.deepEqual(await allRead(reader, sent, 2 * deadlineMs), [], 'lost')
  assert.deepEqual(await reader.check(), [], 'handed out again')
  assert.ok(deeds.count > 0, 'mallory did it')
  assert.equal((await circuitInUse(alice, bob))?.id, before)
})

const builds: Readonly<Record<string, (deeds: Deeds) => Mischief>> = {
  'refuses every circuit': (deeds) => mischiefs.refuse(deeds),
  'answers CREATE and never EXTEND': (deeds) => mischiefs.neverExtend(deeds),
  'answers EXTEND with garbage': (deeds) => mischiefs.garbageExtended(deeds),
  'ends circuits at once': (deeds) => mischiefs.closeAtOnce(deeds),
  'flips a bit of every cell': (deeds) => mischiefs.flip(deeds, 1)
}
for (const [name, turn] of Object.entries(builds))
  test(`while circuits are built it ${name}: they are built over others, or a named error says at which hop`, async () => {
    const { alice, bob, mallory } = scene
    const deeds = new Deeds()
    mallory.behave(turn(deeds))
    const outcomes: string[] = []
    const until = performance.now() + deadlineMs
    while ((deeds.count < 2 || !outcomes.includes('built')) && performance.now() < until) {
      try {
        const { id, isWarm, path = [] } = await alice.circuit(bob.peerId, { hops: 2, showPath: true, timeoutMs: 15_000 })
        // One that was ready before he turned is none of these.
        assert.ok(isWarm || !path.some(({ peerId }) => peerId === mallory.peerId), 'he lets no circuit through')
        outcomes.push('built')
        await alice.closeCircuit(id)
      } catch (error) {
        outcomes.push(codeOf(error))
      }
    }
    assert.ok(deeds.count >= 2, 'mallory did it')
    assert.ok(outcomes.includes('built'), outcomes.join())
    assert.deepEqual(
      outcomes.filter((code) => code !== 'built' && !buildCodes.includes(code)),
      []
    )
    assert.equal((await alice.send(bob.peerId, 'still there', { via: 'onion', timeoutMs: deadlineMs })).status, 'stored')
  })

test('a relay that fails most builds is told, and left out', async () => {
  const { net, bob, mallory } = scene
  const records: LogRecord[] = []
  const limits = { ...quickLimits, record: { firstRestMs: 1, maxRestMs: 1 } }
  const carol = await net.add({ onionRelay: false }, { onionLimits: limits, onLog: (record) => void records.push(record) })
  await knowsRelays(carol, 5)
  await net.pair(carol, bob)
  const deeds = new Deeds()
  mallory.behave(mischiefs.refuse(deeds))
  const findings = async (): Promise<readonly string[]> => (await carol.status()).health.map(({ code, message }) => `${code} ${message}`)
  const short = mallory.peerId.slice(-6)
  const isTold = (): boolean => records.some(({ event, fields }) => event === 'onion.relay-dropped' && String(fields['peer']).includes(short))
  for (let round = 0; round < 400 && !isTold(); round++) {
    const built = await carol.circuit(bob.peerId, { hops: 2 }).catch(codeOf)
    if (typeof built !== 'string') await carol.closeCircuit(built.id)
  }
  assert.ok(isTold(), `${deeds.count} circuits were refused`)
  assert.ok(
    (await findings()).some((text) => text.startsWith('ONION_RELAY_DROPPED') && text.includes(short)),
    (await findings()).join()
  )
  const before = deeds.count
  for (let round = 0; round < 5; round++) await carol.closeCircuit((await carol.circuit(bob.peerId, { hops: 2 })).id)
  assert.equal(deeds.count, before, 'he is asked no more')
  await carol.stop()
})

test('a circuit whose far end takes no stream is given up for another one, without waiting until it is found dead', async () => {
  const { net, bob, mallory } = scene
  const limits = { ...quickLimits, probe: { idleMs: 60_000, deadMs: 90_000 }, openMs: 500 }
  const dave = await net.add({ onionHops: 2, onionRelay: false }, { onionLimits: limits })
  await knowsRelays(dave, 5)
  await net.pair(dave, bob)
  const dead = await circuitOver(dave)
  const deeds = new Deeds()
  mallory.behave(mischiefs.dropAll(deeds))
  const { status } = await dave.send(bob.peerId, 'over another one', { via: 'onion', timeoutMs: deadlineMs })
  assert.equal(status, 'stored')
  assert.ok(deeds.count > 0, 'mallory did it')
  assert.ok(!(await dave.circuits()).some(({ id }) => id === dead))
  await dave.stop()
})

/** A circuit to bob that leads over mallory, and carries nothing yet; there is no other one. */
async function circuitOver(from: Mesh): Promise<string> {
  const { bob, mallory } = scene
  for (const until = performance.now() + deadlineMs; performance.now() < until;) {
    const { id, path = [] } = await from.circuit(bob.peerId, { hops: 2, showPath: true })
    if (path.slice(1).some(({ peerId }) => peerId === mallory.peerId)) return id
    await from.closeCircuit(id)
  }
  return assert.fail('no circuit leads over mallory')
}

test('two relays die while 200 messages run and circuits are built: none is lost, and none comes twice', async () => {
  const { alice, bob, mallory, honest } = scene
  await leadOverMallory(scene)
  const building: Promise<string>[] = []
  const onSent = (index: number): void => {
    if (index % 20 === 0) {
      building.push(alice.circuit(bob.peerId, { hops: 2, timeoutMs: deadlineMs }).then(() => 'built', codeOf))
    }
    if (index === 50) void mallory.kill()
    if (index === 120) void honest[2]?.stop()
  }
  const sent = await sendStream(alice, bob.peerId, { name: 'dying', count: 200, pauseMs: 3, onSent })
  const outcomes = await Promise.all(building)
  assert.deepEqual(
    outcomes.filter((code) => code !== 'built' && ![...buildCodes, 'CIRCUIT_TOO_FEW_RELAYS'].includes(code)),
    []
  )
  assert.deepEqual(await allRead(reader, sent, 2 * deadlineMs), [], 'lost')
  assert.deepEqual(await reader.check(), [], 'handed out again')
})

test('when the last of three guards is gone nothing is built, though other relays are there', async () => {
  const { net, alice, bob, honest } = scene
  await net.add({ onionHops: 2 })
  await knowsRelays(alice, 5)
  await Promise.all(honest.map((node) => node.stop()))
  const codes: string[] = []
  await until(
    async () => {
      codes.push(await alice.circuit(bob.peerId, { hops: 1, allowShort: true, timeoutMs: deadlineMs }).then(() => 'built', codeOf))
      return codes.at(-1) === 'CIRCUIT_GUARDS_FAILED'
    },
    'all guards have failed',
    deadlineMs
  ).catch(() => undefined)
  assert.equal(codes.at(-1), 'CIRCUIT_GUARDS_FAILED', codes.join())
  const isShown = async (): Promise<boolean> => (await alice.status()).health.some(({ code }) => code === 'CIRCUIT_GUARDS_FAILED')
  await until(isShown, 'status says so', deadlineMs)
})
