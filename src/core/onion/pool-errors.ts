import { MeshError } from '../base/index.ts'

/** Whether a step took too long, as the driver or the pool itself said. */
export const isTimeout = ({ code }: MeshError): boolean => code === 'TIMEOUT' || code === 'CIRCUIT_BUILD_TIMEOUT'

/** There are as many circuits as there may be. */
export const limitError = (reason: string): MeshError => new MeshError('PROTOCOL_LIMIT', { protocol: 'onion', reason })

/** Nobody of this peer id takes circuits. */
export const noEndpoint = (peer: string, reason = 'the directory of circuits does not have it'): MeshError =>
  new MeshError('CIRCUIT_NO_ENDPOINT', { peer, reason })

/** No relay is chosen yet. */
export const unsynced = (hops: number): MeshError =>
  new MeshError('CIRCUIT_TOO_FEW_RELAYS', {
    need: hops,
    have: 0,
    reason: 'the directory of circuits has not been compared with that of other nodes yet'
  })
