import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Millis, millis } from '../../../src/core/base/index.ts'
import { defaultRekeyPolicy, maxPlaintextBytes } from '../../../src/core/session/index.ts'
import { type End, openPair, settle } from './support.ts'

const eager = { records: 6, bytes: 3_000, ms: 40 }

type Action =
  | { readonly type: 'say'; readonly by: 'alice' | 'bob'; readonly data: Uint8Array }
  | { readonly type: 'carry'; readonly from: 'alice' | 'bob'; readonly count: number }
  | { readonly type: 'rekey'; readonly by: 'alice' | 'bob' }
  | { readonly type: 'wait'; readonly ms: number }

const side = fc.constantFrom('alice' as const, 'bob' as const)
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('say' as const), by: side, data: fc.uint8Array({ minLength: 1, maxLength: 700 }) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('carry' as const), from: side, count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('rekey' as const), by: side }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 30 }) }) }
)

/** Two ends, a clock, and frames that are carried a few at a time. */
class World {
  readonly alice: End
  readonly bob: End
  readonly said = { alice: [] as Uint8Array[], bob: [] as Uint8Array[] }
  now: Millis = millis(0)

  constructor() {
    const { alice, bob } = openPair({ alice: { rekey: eager }, bob: { rekey: eager } })
    this.alice = alice
    this.bob = bob
  }

  end(name: 'alice' | 'bob'): End {
    return name === 'alice' ? this.alice : this.bob
  }

  do(step: Action): void {
    switch (step.type) {
      case 'say':
        this.said[step.by].push(step.data)
        this.end(step.by).input({ type: 'send', data: step.data }, this.now)
        return
      case 'carry':
        this.end(step.from === 'alice' ? 'bob' : 'alice').receive(this.end(step.from).frames.splice(0, step.count), this.now)
        return
      case 'rekey':
        this.end(step.by).input({ type: 'rekey' }, this.now)
        return
      case 'wait':
        // Long enough for the peer's tokens of rekeys, too.
        this.now = millis(this.now + step.ms * 1_000)
        for (const end of [this.alice, this.bob]) if ((end.machine.wakeAt ?? Infinity) <= this.now) end.input({ type: 'wake' }, this.now)
        return
      default:
        step satisfies never
    }
  }
}

test('whatever is sent, carried and rekeyed in whatever order: everything arrives once, in order', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const world = new World()
      for (const step of actions) {
        world.do(step)
        // At most one rekey a second is taken without end.
        world.now = millis(world.now + 1_000)
      }
      settle(world.alice, world.bob, world.now)
      assert.equal(world.alice.error, undefined)
      assert.equal(world.bob.error, undefined)
      assert.deepEqual(world.bob.data, world.said.alice)
      assert.deepEqual(world.alice.data, world.said.bob)
      assert.equal(world.alice.machine.epoch, world.bob.machine.epoch)
    }),
    { numRuns: 150 }
  )
})

type Attack = 'drop' | 'repeat' | 'swap' | 'flip' | 'cut' | 'lengthen' | 'reflect' | 'old' | 'other'

test('whatever is done to the frames on the way: what is delivered is what was said, from the first on, and then it ends', () => {
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 30 }),
      fc.constantFrom<Attack>('drop', 'repeat', 'swap', 'flip', 'cut', 'lengthen', 'reflect', 'old', 'other'),
      fc.nat(),
      (actions, attack, seed) => {
        const world = new World()
        for (const step of actions) {
          world.do(step)
          world.now = millis(world.now + 1_000)
        }
        settle(world.alice, world.bob, world.now)
        const texts = ['one', 'two', 'three', 'four']
        for (const text of texts) world.alice.say(text, world.now)
        const heardBefore = world.bob.data.length
        const frames = attacked(world, attack, seed)
        world.bob.receive(frames, world.now)
        const heard = world.bob.heard.slice(heardBefore)
        assert.deepEqual(heard, texts.slice(0, heard.length))
        const lastDropped = attack === 'drop' && heard.length === texts.length - 1
        if (!lastDropped) world.bob.fails('SESSION_RECORD_INVALID')
        assert.ok(heard.length < texts.length || ['repeat', 'reflect', 'old', 'other'].includes(attack))
      }
    ),
    { numRuns: 300 }
  )
})

function attacked(world: World, attack: Attack, seed: number): readonly Uint8Array[] {
  const history = [...world.alice.sent]
  const frames = [...world.alice.take()]
  // Keys are renewed while the four are sent: only the frames up to that are touched.
  const index = seed % Math.min(4, frames.length)
  const frame = frames[index] ?? new Uint8Array(0)
  const insert = (extra: Uint8Array): readonly Uint8Array[] => frames.toSpliced(index, 0, extra)
  switch (attack) {
    case 'drop':
      return frames.toSpliced(index, 1)
    case 'repeat':
      return insert(frame)
    case 'swap':
      return frames.toSpliced(index % 3, 2, frames[(index % 3) + 1] ?? frame, frames[index % 3] ?? frame)
    case 'flip':
      return frames.with(
        index,
        frame.map((byte, at) => (at === seed % frame.length ? byte ^ (1 << (seed % 8)) : byte))
      )
    case 'cut':
      return frames.with(index, frame.subarray(0, seed % frame.length))
    case 'lengthen':
      return frames.with(index, new Uint8Array([...frame, 0]))
    case 'reflect':
      return insert(world.bob.sent.at(-1) ?? frame)
    case 'old':
      return insert(history[seed % (history.length - frames.length)] ?? frame)
    case 'other': {
      const other = openPair().alice.say('other')
      return insert(other.frames[0] ?? frame)
    }
    default:
      return attack satisfies never
  }
}

test('each byte of a record, changed on its own, ends the session, and nothing of it is delivered', () => {
  const length = openPair().alice.say('a record').frames[0]?.length ?? 0
  for (let position = 0; position < length; position++) {
    const { alice, bob } = openPair()
    const [record] = alice.say('a record').take()
    const changed = record?.slice() ?? new Uint8Array(0)
    changed[position] = (changed[position] ?? 0) ^ (1 << (position % 8))
    bob.receive([changed])
    bob.fails('SESSION_RECORD_INVALID')
    assert.deepEqual(bob.heard, [])
  }
})

test('records that are sent back to their sender are refused, whatever their number is', () => {
  for (let heard = 0; heard < 4; heard++) {
    for (let index = 0; index < 4; index++) {
      const { alice, bob } = openPair()
      for (let count = 0; count < heard; count++) bob.say('from bob')
      settle(alice, bob)
      for (const text of ['one', 'two', 'three', 'four']) alice.say(text)
      alice.receive(alice.take().slice(index, index + 1))
      alice.fails('SESSION_RECORD_INVALID')
      assert.equal(alice.data.length, heard)
    }
  }
})

test('a record of the largest size fits one message of the encryption below; a larger one, or an empty one, is not made', () => {
  const { alice, bob } = openPair()
  alice.input({ type: 'send', data: new Uint8Array(maxPlaintextBytes).fill(7) })
  // With the length of the frame and yamux's header: 65,519.
  assert.equal((alice.frames[0]?.length ?? 0) + 4 + 12, 65_519)
  settle(alice, bob)
  assert.equal(bob.data[0]?.length, maxPlaintextBytes)
  alice.input({ type: 'send', data: new Uint8Array(maxPlaintextBytes + 1) })
  alice.fails('INTERNAL')
})

test('the end mark tells an end from a cut', () => {
  const cut = openPair()
  cut.bob.input({ type: 'stream-ended' })
  cut.bob.fails('SESSION_TRUNCATED')
  const ended = openPair()
  ended.alice.say('last').input({ type: 'end' })
  settle(ended.alice, ended.bob)
  assert.deepEqual(ended.bob.heard, ['last'])
  assert.ok(ended.bob.peerEnded)
  ended.bob.input({ type: 'stream-ended' })
  assert.equal(ended.bob.error, undefined)
})

test('who ended no longer sends, and what follows an end mark is refused', () => {
  const { alice, bob } = openPair()
  const [record] = openPair().alice.say('x').frames
  alice.input({ type: 'end' })
  settle(alice, bob)
  bob.receive([record ?? new Uint8Array(0)])
  bob.fails('SESSION_RECORD_INVALID')
  alice.say('after the end')
  alice.fails('INTERNAL')
})

test('an ended session answers nothing', () => {
  const { alice, bob } = openPair()
  bob.receive([new Uint8Array(30)])
  bob.fails('SESSION_RECORD_INVALID')
  bob.receive(alice.say('more').take())
  bob.input({ type: 'rekey' })
  assert.deepEqual(bob.heard, [])
  assert.deepEqual(bob.frames, [])
  assert.throws(() => bob.machine.exportSecret('a', new Uint8Array(0), 32))
})

test('the policy is 2^20 records, 1 GiB and ten minutes unless another one is given', () => {
  assert.deepEqual(defaultRekeyPolicy, { records: 2 ** 20, bytes: 2 ** 30, ms: 600_000 })
})
