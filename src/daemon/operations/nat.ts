import type { NatRates, NatReport } from '../../mesh/nat-report.ts'
import { type Handler, present } from './context.ts'

export const nat: Handler<'nat'> = async (input, { mesh, signal }) => {
  const report = await mesh.nat(input.peer, { method: input.method, timeoutMs: input.timeoutMs, signal, ...present({ via: input.via }) })
  const { peer, method, result, path, now, own, their, reason, retryInMs, usableMs, ms, last100, error } = report
  const retryInS = retryInMs === undefined ? undefined : Math.ceil(retryInMs / 1_000)
  return {
    peer: { peerId: peer.peerId, name: peer.name },
    method,
    result,
    ...present({ path, now }),
    ...relayOf(report),
    own: { class: own },
    their: { class: their },
    attempts: attemptsOf(report),
    ...present({ reason, retryInS, usableMs: usableMs === undefined ? undefined : Math.round(usableMs) }),
    ms: Math.round(ms),
    last100: wireRates(last100),
    ...(error === undefined ? {} : { error: { ...error, next: [...error.next] } })
  }
}

const relayOf = ({ relay }: NatReport) => (relay === undefined ? {} : { relay: { peerId: relay.peerId, name: relay.name } })

const attemptsOf = ({ attempts }: NatReport) =>
  attempts.map(({ technique, ok, ms, path, reason }) => ({ method: technique, ok, ms: Math.round(ms), ...present({ path, reason }) }))

/** Rates before the first peer are left out. */
export const wireRates = ({ count, reachableRate, directRate }: NatRates) => ({ count, ...present({ reachableRate, directRate }) })
