import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isMeshError } from '../../../src/core/base/index.ts'
import { LoopGuard, loopLimits, type Sending, type ThreadMark } from '../../../src/core/message/index.ts'
import { seeded } from '../peers/support.ts'

const sending = (id: string, change: Partial<Sending> = {}): Sending => ({
  id,
  automatic: true,
  allow: false,
  cause: undefined,
  isAnswer: true,
  ...change
})
const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

/** Enters automatic answers in the thread `root` until the guard refuses; how many it took. */
function enterUntilRefused(guard: LoopGuard, root: string): number {
  for (let count = 0; count < 1_000; count++) {
    try {
      guard.enter(sending(`${root}-${guard.countOf(root)}-${count}`, { cause: { root, hop: 0 } }))
    } catch (error) {
      assert.ok(isMeshError(error, 'LOOP_GUARD'))
      return count
    }
  }
  return assert.fail('it never ends')
}

describe('the guard against loops', () => {
  it('ends a conversation of two agents after 30 messages, however they are shared out', () => {
    for (const first of ['one', 'other'] as const) {
      const guards = { one: new LoopGuard(), other: new LoopGuard() }
      let from: 'one' | 'other' = first
      let cause: { readonly id: string; readonly mark: ThreadMark | undefined } = { id: 'begin', mark: undefined }
      let sent = 0
      for (;;) {
        const guard = guards[from]
        const id = `m${sent}`
        try {
          const place = cause.mark ?? { root: cause.id, hop: 0 }
          const mark = guard.enter(sending(id, { cause: place }))
          assert.ok(mark)
          assert.deepEqual([mark.root, mark.hop, mark.automatic], ['begin', 0, true])
          sent++
          from = from === 'one' ? 'other' : 'one'
          guards[from].arrived(id, mark)
          cause = { id, mark }
        } catch (error) {
          assert.ok(isMeshError(error, 'LOOP_GUARD'))
          assert.deepEqual(error.details, { root: 'begin', messages: 30 })
          break
        }
      }
      assert.equal(sent, loopLimits.automatic)
    }
  })

  it('goes on once a person wrote, here or there, or somebody allowed it', () => {
    const guard = new LoopGuard()
    const again = (): void => assert.equal(enterUntilRefused(guard, 'r'), 30)
    again()
    assert.deepEqual(guard.enter(sending('by-hand', { automatic: false, cause: { root: 'r', hop: 5 } })), { root: 'r', hop: 0, automatic: false })
    again()
    guard.arrived('from-there', { root: 'r', hop: 0, automatic: false })
    again()
    guard.enter(sending('allowed', { allow: true, cause: { root: 'r', hop: 0 } }))
    assert.equal(enterUntilRefused(guard, 'r'), 29)
  })

  it('counts each thread for itself, and what arrives as what is sent', () => {
    const guard = new LoopGuard()
    for (let index = 0; index < 29; index++) guard.arrived(`in-${index}`, { root: 'r', hop: 0, automatic: true })
    assert.equal(guard.countOf('r'), 29)
    assert.equal(enterUntilRefused(guard, 'r'), 1)
    assert.equal(enterUntilRefused(guard, 'another'), 30)
  })

  it('lets a matter be handed on eight times, and answers of it come back', () => {
    const guard = new LoopGuard()
    const handOn = (id: string, hop: number): ThreadMark | undefined => guard.enter(sending(id, { cause: { root: 'r', hop }, isAnswer: false }))
    assert.equal(handOn('eighth', 7)?.hop, 8)
    assert.throws(() => handOn('ninth', 8), failure('HOP_LIMIT'))
    assert.equal(guard.countOf('r'), 1)
    assert.equal(guard.enter(sending('answer', { cause: { root: 'r', hop: 8 } }))?.hop, 8)
    assert.equal(guard.enter(sending('allowed', { cause: { root: 'r', hop: 8 }, isAnswer: false, allow: true }))?.hop, 0)
  })

  it('says nothing of a person’s message that begins a thread, and names one that an agent begins', () => {
    const guard = new LoopGuard()
    assert.equal(guard.enter(sending('a', { automatic: false })), undefined)
    assert.deepEqual(guard.enter(sending('b')), { root: 'b', hop: 0, automatic: true })
    assert.equal(guard.takeChanges()?.places.length, 0)
  })
})

describe('what the guard against loops remembers', () => {
  it('is where messages stand, the first word about each, over a restart', () => {
    const guard = new LoopGuard()
    guard.arrived('m', { root: 'r', hop: 3, automatic: true })
    guard.arrived('m', { root: 'forged', hop: 0, automatic: true })
    const saved = guard.takeChanges()
    assert.ok(saved)
    assert.equal(guard.takeChanges(), undefined)
    const later = new LoopGuard(saved)
    assert.deepEqual(later.placeOf('m'), { root: 'r', hop: 3 })
    assert.deepEqual(later.placeOf('unheard-of'), { root: 'unheard-of', hop: 0 })
    assert.equal(later.countOf('r'), 1)
  })

  it('is taken back for what was not sent after all', () => {
    const guard = new LoopGuard()
    const mark = guard.enter(sending('a', { cause: { root: 'r', hop: 0 } }))
    assert.ok(mark)
    guard.takeBack(mark)
    assert.deepEqual([guard.countOf('r'), guard.takeChanges()?.counts], [0, [{ root: 'r', automatic: 0 }]])
  })

  it('follows, of volatile messages, from what they answer', () => {
    const guard = new LoopGuard()
    guard.enter(sending('v1'))
    guard.follows('v2', 'v1')
    assert.deepEqual(guard.placeOf('v2'), { root: 'v1', hop: 0 })
    guard.follows('x2', 'unheard-of')
    assert.deepEqual(guard.placeOf('x2'), { root: 'x2', hop: 0 })
  })

  it('keeps within bounds: what was used longest ago is forgotten', () => {
    const guard = new LoopGuard()
    for (let index = 0; index <= loopLimits.places; index++) guard.arrived(`m${index}`, { root: `r${index}`, hop: 0, automatic: true })
    assert.deepEqual([guard.placeOf('m0').root, guard.countOf('r0')], ['m0', 0])
    assert.deepEqual([guard.placeOf(`m${loopLimits.places}`).root, guard.countOf(`r${loopLimits.places}`)], [`r${loopLimits.places}`, 1])
    assert.equal(guard.countOf(`r${loopLimits.places - loopLimits.threads}`), 0)
  })

  it('never lets more than 30 of agents through with no person, whatever comes in which order', () => {
    const random = seeded('loop-guard')
    const guard = new LoopGuard()
    const run = new Map<string, number>()
    for (let step = 0; step < 20_000; step++) {
      const [kind = 0, thread = 0] = random.bytes(2)
      const root = `r${thread % 5}`
      if (kind < 8) {
        guard.enter(sending(`p${step}`, { automatic: false, cause: { root, hop: 0 } }))
        run.set(root, 0)
        continue
      }
      if (kind < 60) {
        guard.arrived(`i${step}`, { root, hop: 0, automatic: true })
        run.set(root, (run.get(root) ?? 0) + 1)
        continue
      }
      const isOpen = (run.get(root) ?? 0) < loopLimits.automatic
      try {
        guard.enter(sending(`s${step}`, { cause: { root, hop: 0 } }))
        assert.ok(isOpen)
        run.set(root, (run.get(root) ?? 0) + 1)
      } catch (error) {
        assert.ok(isMeshError(error, 'LOOP_GUARD') && !isOpen)
      }
    }
  })
})
