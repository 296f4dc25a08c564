import type { ErrorCode } from '../../src/core/base/index.ts'
import type { Rig } from '../api/harness.ts'

type GatewayCode = Extract<ErrorCode, 'GATEWAY_BUSY' | 'TOKEN_EXISTS' | 'TOKEN_UNKNOWN'>

/** For each code of the gateway, what lets the software say it. */
export const gatewayProducers: Readonly<Record<GatewayCode, (world: { readonly rig: Rig }) => unknown>> = {
  GATEWAY_BUSY: async ({ rig }) => {
    const ended = new AbortController()
    const read = () => rig.client.stream('events', {}, { signal: ended.signal }).next()
    try {
      for (let readers = 0; readers <= 64; readers++) await read()
      return undefined
    } finally {
      ended.abort()
    }
  },
  TOKEN_EXISTS: async ({ rig }) => {
    await rig.client.call('tokenCreate', { name: 'twice' })
    return rig.client.call('tokenCreate', { name: 'twice' })
  },
  TOKEN_UNKNOWN: ({ rig }) => rig.client.call('tokenRevoke', { name: 'nobody' })
}
