import type { Clock } from '../core/base/index.ts'
import type { HandshakeFailure } from '../mesh/hybrid-noise/index.ts'
import type { LogRecord } from '../mesh/mesh.ts'
import { TokenBuckets } from '../mesh/token-buckets.ts'

/**
 * Tells the log of handshakes that failed: loudly where somebody may have taken protection away; whoever calls and says nonsense is worth no line by default.
 * Anybody can call and list more than is spoken, with ever new keys: so there is one loud record of a peer in ten seconds, and of each direction eight at once, then
 * one in five seconds. The next one says how many were left out.
 */
export function handshakeLog(clock: Clock, log: (record: LogRecord) => void): (failure: HandshakeFailure) => void {
  const ofPeer = new TokenBuckets({ clock, perSecond: 0.1, burst: 1 })
  const ofDirection = new TokenBuckets({ clock, perSecond: 0.2, burst: 8 })
  let suppressed = 0
  return ({ reason, protocol, direction, error }) => {
    const isDowngrade = error.code === 'DOWNGRADE_DETECTED'
    if (!isDowngrade) return log({ level: 'debug', event: error.code, fields: { reason, protocol, direction } })
    if (!ofPeer.take(`${direction} ${String(error.details['peer'])}`) || !ofDirection.take(direction)) {
      suppressed += 1
      return undefined
    }
    log({ level: 'error', event: error.code, fields: { reason, protocol, direction, ...error.details, suppressed } })
    suppressed = 0
    return undefined
  }
}
