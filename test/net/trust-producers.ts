import { LoopGuard, loopLimits, type Sending } from '../../src/core/message/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { createTestnet } from '../../src/testing/testnet.ts'

type TrustCode = 'NOT_ALLOWED' | 'PEER_BLOCKED' | 'PEER_NOT_PAIRED' | 'LOOP_GUARD' | 'HOP_LIMIT'

const sending = (change: Partial<Sending>): Sending => ({ id: 'm', automatic: true, allow: false, isAnswer: true, cause: undefined, ...change })

/** For each code of trust and of the guard against loops, what lets the software say it. @param failed - the error of a message that was refused with this code */
export const trustProducers = (
  failed: (code: string) => unknown
): Readonly<Record<TrustCode, (world: { readonly me: Mesh; readonly stranger: Mesh }) => unknown>> => ({
  NOT_ALLOWED: () => failed('NOT_ALLOWED'),
  PEER_BLOCKED: async () => {
    await using net = await createTestnet(1)
    const peerId = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
    await net.node(0).contacts.block(peerId)
    return await net.node(0).send(peerId, 'x')
  },
  PEER_NOT_PAIRED: ({ me, stranger }) => me.contacts.remove(stranger.peerId),
  LOOP_GUARD: () => {
    const guard = new LoopGuard()
    for (let count = 0; ; count++) guard.enter(sending({ id: `m${count}`, cause: { root: 'r', hop: 0 } }))
  },
  HOP_LIMIT: () => new LoopGuard().enter(sending({ cause: { root: 'r', hop: loopLimits.hops }, isAnswer: false }))
})
