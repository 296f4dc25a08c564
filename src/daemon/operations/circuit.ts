import type { CircuitInfo, CircuitReport } from '../../mesh/onion/circuit-report.ts'
import { type Handler, present } from './context.ts'

export const circuitOpen: Handler<'circuitOpen'> = async ({ peer, hops, level, allowShort, showPath, timeoutMs }, { mesh, signal }) => {
  const report = await mesh.circuit(peer, { ...present({ hops, level }), allowShort, showPath, timeoutMs, signal })
  return { peer: { peerId: report.peer.peerId, name: report.peer.name }, ...infoOf(report), ...buildOf(report) }
}

export const circuitList: Handler<'circuitList'> = async ({ showPath }, { mesh }) => {
  const circuits = await mesh.circuits({ showPath })
  return {
    circuits: circuits.map((each) => ({
      ...(each.peer === undefined ? {} : { peer: { peerId: each.peer.peerId, name: each.peer.name } }),
      ...infoOf(each)
    }))
  }
}

export const circuitClose: Handler<'circuitClose'> = async ({ circuit }, { mesh }) => ({ circuit: await mesh.closeCircuit(circuit), closed: true })

const infoOf = ({ id, state, hops, level, openedAt, expiresAt, streams, cells, path }: CircuitInfo) => ({
  circuit: id,
  state,
  hops,
  level,
  openedAt,
  expiresAt,
  streams,
  cells: { ...cells },
  ...(path === undefined ? {} : { path: path.map(({ peerId, name }) => ({ peerId, name })) })
})

const buildOf = ({ wanted, isWarm, carriesMessages, carriesVia, attempts, buildMs, stepMs, rttMs, anonymity }: CircuitReport) => ({
  wanted,
  isWarm,
  carriesMessages,
  carriesVia,
  attempts,
  buildMs: Math.round(buildMs),
  stepMs: stepMs.map(Math.round),
  rttMs: Math.round(rttMs * 10) / 10,
  anonymity: {
    ...anonymity,
    bothEnds: anonymity.bothEnds.map((each) => ({ ...each })),
    waivers: [...anonymity.waivers],
    hides: [...anonymity.hides],
    doesNotHide: [...anonymity.doesNotHide],
    lines: [...anonymity.lines]
  }
})
