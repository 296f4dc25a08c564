import type { Clock } from '../core/base/index.ts'
import type { PqIdentity, PqKeys } from '../core/session/index.ts'
import type { Platform } from '../mesh/ports.ts'
import { createVerifier, hmacSha256, nodeHandshakeCrypto, sha256, systemRandom } from '../crypto/index.ts'
import { createPqVerifier } from '../crypto/pq-identity.ts'
import { systemClock } from './clock.ts'
import type { Identity } from './identity.ts'
import type { Stores } from './sqlite/stores.ts'
import { systemTimers } from './timers.ts'

export interface PlatformOptions {
  readonly identity: Identity
  readonly network: string
  readonly stores: Stores
  readonly pqKeys: PqKeys
  /** The system's clock by default. */
  readonly clock?: Clock
}

/** Everything outside that a mesh node needs, from Node.js. */
export function createPlatform({ identity, network, stores, pqKeys, clock = systemClock() }: PlatformOptions): Platform {
  return {
    clock,
    random: systemRandom,
    signer: identity.signer(network),
    verifier: createVerifier(network),
    deliveryStore: stores.deliveryStore,
    readerStore: stores.readerStore,
    agentStore: stores.agentStore,
    peerStore: stores.peerStore,
    trustStore: stores.trustStore,
    groupStore: stores.groupStore,
    groupKeyStore: stores.groupKeyStore,
    threadStore: stores.threadStore,
    timers: systemTimers,
    crypto: nodeHandshakeCrypto,
    pq: lazyPq(identity, network, pqKeys),
    sha256,
    hmac: hmacSha256
  }
}

/** An ML-DSA-65 key is made when the first session wants one. */
function lazyPq(identity: Identity, network: string, keys: PqKeys): Platform['pq'] {
  let made: PqIdentity | undefined
  return {
    verifier: createPqVerifier(network),
    keys,
    get identity() {
      made ??= identity.pqIdentity(network)
      return made
    }
  }
}
