import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isMeshError, millis } from '../../../src/core/base/index.ts'
import {
  decodeIceFrame,
  encodeIceFrame,
  iceBudgetMs,
  type IceCandidate,
  type IceFrame,
  IceRunMachine,
  type IceRunInput,
  type IceRunOptions,
  type IceRunOutput
} from '../../../src/core/nat/index.ts'

const credentials = { fragment: 'abcd', password: 'p'.repeat(22), fingerprint: new Uint8Array(32) }
const candidate = (changes: Partial<IceCandidate> = {}): IceCandidate => ({ type: 'host', priority: 1, address: '11.77.1.2', port: 9, ...changes })
const defaults: IceRunOptions = {
  peer: 'peer',
  policy: 'all',
  nat: { isOpen: false, isSymmetric: false },
  scopes: ['private', 'public'],
  tells: ['private', 'public']
}

/** What a machine does, in words. */
function told(outputs: readonly IceRunOutput[]): readonly string[] {
  return outputs.map((output) => {
    if (output.type === 'send') return `send ${decodeIceFrame(output.frame).kind}`
    if (output.type === 'check') return `check ${output.candidate.address}`
    if (output.type === 'failed') return `failed ${output.error.code}`
    return output.type === 'offered' ? `offered ${output.dtls}` : output.type
  })
}

class Side {
  readonly machine: IceRunMachine
  now = 0

  constructor(changes: Partial<IceRunOptions> = {}) {
    this.machine = new IceRunMachine({ ...defaults, ...changes })
  }

  do(input: IceRunInput): readonly string[] {
    return told(this.machine.handle(input, millis(this.now)))
  }

  hear(frame: IceFrame): readonly string[] {
    return this.do({ type: 'frame', frame: encodeIceFrame(frame) })
  }
}

const answering = (changes: Partial<IceRunOptions> = {}): Side => {
  const side = new Side({ policy: undefined, ...changes })
  assert.deepEqual(side.hear({ kind: 'offer', policy: 'all', isSymmetric: false, credentials }), [
    `offered ${changes.nat?.isOpen === true ? 'client' : 'server'}`
  ])
  return side
}

describe('the initiator', () => {
  test('tells its candidates once it has taken the answer, and not before', () => {
    const side = new Side()
    assert.deepEqual(side.do({ type: 'credentials', credentials }), ['send offer'])
    assert.deepEqual(side.do({ type: 'candidate', candidate: candidate() }), [])
    assert.deepEqual(side.do({ type: 'gathered' }), [])
    assert.deepEqual(side.hear({ kind: 'answer', dtls: 'server', credentials }), ['answered', 'send candidate', 'send gathered'])
    assert.deepEqual(side.hear({ kind: 'candidate', candidate: candidate() }), ['check 11.77.1.2'])
    assert.deepEqual(side.do({ type: 'open' }), ['connected'])
    assert.deepEqual(side.do({ type: 'stream-ended' }), [], 'what comes afterwards is of no interest')
  })

  test('ends after its budget, with a reason that names what both sides had', () => {
    const reasons: string[] = []
    const end = (side: Side): void => {
      side.now = iceBudgetMs
      assert.equal(side.machine.wakeAt, iceBudgetMs)
      for (const output of side.machine.handle({ type: 'wake' }, millis(side.now))) if (output.type === 'failed') reasons.push(output.error.message)
    }
    const silent = new Side()
    silent.do({ type: 'credentials', credentials })
    end(silent)
    const blocked = new Side()
    for (const frame of [{ kind: 'answer', dtls: 'client', credentials } as const]) {
      blocked.do({ type: 'credentials', credentials })
      blocked.hear(frame)
    }
    end(blocked)
    const alone = new Side()
    alone.do({ type: 'credentials', credentials })
    alone.do({ type: 'candidate', candidate: candidate() })
    alone.do({ type: 'candidate', candidate: candidate({ type: 'srflx' }) })
    alone.hear({ kind: 'answer', dtls: 'client', credentials })
    alone.hear({ kind: 'candidate', candidate: candidate({ type: 'relay' }) })
    end(alone)
    assert.match(reasons[0] ?? '', /the peer did not answer/)
    assert.match(reasons[1] ?? '', /no address of its own .* over UDP/)
    assert.match(reasons[2] ?? '', /between addresses \(1 local, 1 STUN\) here and addresses \(1 TURN\) there/)
  })
})

describe('the side that is asked', () => {
  test('checks at once as the server of DTLS, and leaves the checks to the other side for 300 ms as the client', () => {
    assert.deepEqual(answering().hear({ kind: 'candidate', candidate: candidate() }), ['check 11.77.1.2'])
    const client = answering({ nat: { isOpen: true, isSymmetric: false } })
    assert.deepEqual(client.hear({ kind: 'candidate', candidate: candidate() }), [])
    client.now = 299
    assert.deepEqual(client.do({ type: 'wake' }), [])
    client.now = 300
    assert.equal(client.machine.wakeAt, 300)
    assert.deepEqual(client.do({ type: 'wake' }), ['check 11.77.1.2'])
    assert.deepEqual(client.hear({ kind: 'candidate', candidate: candidate({ port: 10 }) }), ['check 11.77.1.2'])
  })

  test('has its checks in one network answered first when it is the server', () => {
    const initiator = new Side()
    initiator.do({ type: 'credentials', credentials })
    initiator.hear({ kind: 'answer', dtls: 'server', credentials })
    assert.deepEqual(initiator.hear({ kind: 'candidate', candidate: candidate({ address: '192.168.1.2' }) }), [])
    assert.deepEqual(initiator.hear({ kind: 'candidate', candidate: candidate() }), ['check 11.77.1.2'])
    initiator.now = 300
    assert.deepEqual(initiator.do({ type: 'wake' }), ['check 192.168.1.2'])
  })

  test('is the client of DTLS where the checks of the initiator are answered first', () => {
    const role = (nat: IceRunOptions['nat'], isSymmetric: boolean): readonly string[] =>
      new Side({ policy: undefined, nat }).hear({ kind: 'offer', policy: 'all', isSymmetric, credentials })
    assert.deepEqual(role({ isOpen: true, isSymmetric: false }, false), ['offered client'])
    assert.deepEqual(role({ isOpen: false, isSymmetric: false }, true), ['offered client'], 'ours reach no symmetric NAT before they were called')
    assert.deepEqual(role({ isOpen: false, isSymmetric: true }, true), ['offered server'])
    assert.deepEqual(role({ isOpen: false, isSymmetric: true }, false), ['offered server'])
    assert.deepEqual(role({ isOpen: false, isSymmetric: false }, false), ['offered server'])
  })

  test('tries addresses of the scopes that it was given, and drops the others', () => {
    const addresses = [
      '127.0.0.1',
      '0.0.0.0',
      '224.0.0.1',
      '255.255.255.255',
      '192.168.1.2',
      '11.77.1.2',
      '::1',
      'ff02::1',
      'fe80::1',
      '2a0f:7777::1'
    ]
    const tried = (scopes: IceRunOptions['scopes']): readonly string[] => {
      const side = answering({ scopes })
      return addresses.flatMap((address) => side.hear({ kind: 'candidate', candidate: candidate({ address }) }))
    }
    assert.deepEqual(tried(['public']), ['check 11.77.1.2', 'check 2a0f:7777::1'])
    assert.deepEqual(tried(['private', 'public']), ['check 192.168.1.2', 'check 11.77.1.2', 'check fe80::1', 'check 2a0f:7777::1'])
    assert.deepEqual(tried(['loopback']), ['check 127.0.0.1', 'check ::1'])
  })

  test('takes 16 candidates and ends at the next one, dropped ones included', () => {
    const side = answering({ scopes: ['public'] })
    for (let port = 1; port <= 16; port++) side.hear({ kind: 'candidate', candidate: candidate({ port, address: '192.168.1.2' }) })
    assert.deepEqual(side.hear({ kind: 'candidate', candidate: candidate() }), ['failed PROTOCOL_LIMIT'])
  })
})

test('a peer is told the addresses that are for it', () => {
  const kinds = (tells: IceRunOptions['tells']): readonly string[] => {
    const side = answering({ tells })
    return ['127.0.0.1', '192.168.1.2', '11.77.1.2'].filter((address) => side.do({ type: 'candidate', candidate: candidate({ address }) }).length > 0)
  }
  assert.deepEqual(kinds(['public']), ['11.77.1.2'])
  assert.deepEqual(kinds(['private', 'public']), ['192.168.1.2', '11.77.1.2'])
})

test('many interfaces leave room for the addresses that come later', () => {
  const side = answering()
  const tell = (type: IceCandidate['type'], count: number): number =>
    Array.from({ length: count }, (_, index) => side.do({ type: 'candidate', candidate: candidate({ type, port: index + 1 }) })).flat().length
  assert.deepEqual([tell('host', 30), tell('srflx', 4), tell('relay', 9)], [10, 4, 2])
})

test('with policy stun no address of a TURN server is told or tried', () => {
  const side = new Side({ policy: 'stun' })
  side.do({ type: 'credentials', credentials })
  side.do({ type: 'candidate', candidate: candidate({ type: 'relay' }) })
  assert.deepEqual(side.hear({ kind: 'answer', dtls: 'server', credentials }), ['answered'])
  assert.deepEqual(side.hear({ kind: 'candidate', candidate: candidate({ type: 'relay' }) }), [])
  const asked = new Side({ policy: undefined })
  asked.hear({ kind: 'offer', policy: 'stun', isSymmetric: false, credentials })
  assert.deepEqual(asked.hear({ kind: 'candidate', candidate: candidate({ type: 'relay' }) }), [])
})

test('a frame at a wrong time is malformed, and gets no farewell', () => {
  const started = (): Side => {
    const side = new Side()
    side.do({ type: 'credentials', credentials })
    return side
  }
  const done = answering()
  done.hear({ kind: 'gathered' })
  const wrong: readonly (readonly [Side, IceFrame])[] = [
    [started(), { kind: 'offer', policy: 'all', isSymmetric: false, credentials }],
    [started(), { kind: 'candidate', candidate: candidate() }],
    [new Side(), { kind: 'answer', dtls: 'client', credentials }],
    [new Side({ policy: undefined }), { kind: 'gathered' }],
    [answering(), { kind: 'offer', policy: 'all', isSymmetric: false, credentials }],
    [done, { kind: 'candidate', candidate: candidate() }]
  ]
  for (const [side, frame] of wrong) assert.deepEqual(side.hear(frame), ['failed MESSAGE_MALFORMED'], frame.kind)
})

test('what the peer says at the end is told on, and not answered', () => {
  for (const refusal of ['failed', 'busy', 'glare', 'unavailable', 'refused'] as const) {
    const side = new IceRunMachine(defaults)
    const [output] = side.handle({ type: 'frame', frame: encodeIceFrame({ kind: 'ended', refusal }) }, millis(0))
    assert.ok(output?.type === 'failed' && output.heard === refusal && isMeshError(output.error, 'ICE_FAILED'))
  }
  const side = answering()
  assert.deepEqual(side.do({ type: 'agent-failed' }), ['send ended', 'failed ICE_FAILED'])
})
