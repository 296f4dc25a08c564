import type { WallMillis } from '../../src/core/base/index.ts'
import type { DetailedStatus, PeerReference } from '../../src/mesh/mesh.ts'

/** The connection and the session that the fake node has with a peer. */
export function fakeLinks({ peerId, name }: PeerReference, openedAt: WallMillis): Pick<DetailedStatus, 'connections' | 'sessions'> {
  const connection = {
    peerId,
    name,
    address: '/ip4/192.0.2.7/tcp/9000',
    direction: 'outbound',
    path: 'direct-public',
    encryption: '/noise-mlkem768-hfs/0.2.0',
    quantumLevel: 3,
    multiplexer: '/yamux/1.0.0',
    openedAt,
    streams: 2
  } as const
  const session = {
    peerId,
    name,
    level: 3,
    kem: 'ML-KEM-768',
    hybrid: 'X25519',
    suite: 'Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256',
    authentication: 'ed25519',
    direction: 'outbound',
    path: 'direct-lan',
    openedAt,
    endedAt: undefined,
    words: ['abandon', 'ability', 'able'],
    epoch: 0
  } as const
  return { connections: [connection], sessions: [session] }
}
