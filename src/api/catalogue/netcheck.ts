import { natClasses, natFilterings, natMappings } from '../../core/nat/types.ts'
import { command } from '../command.ts'
import { timeoutMs } from './fields.ts'

export const netcheck = command({
  words: ['netcheck'],
  help: 'look at the network that this node is in: its NAT, UDP, IPv6, port mapping, STUN servers and relays, and say what to do about what is wrong',
  fields: { timeoutMs: timeoutMs(10_000) },
  examples: ['synaptic-mesh p2p netcheck', 'synaptic-mesh p2p netcheck --json'],
  errors: ['TIMEOUT'],
  output: (z) =>
    z.strictObject({
      nat: z.strictObject({ class: z.enum(natClasses), mapping: z.enum(natMappings), filtering: z.enum(natFilterings) }),
      udp: z.enum(['open', 'blocked', 'unknown']),
      publicAddress: z.strictObject({ address: z.string(), port: z.int() }).optional(),
      ipv6: z.boolean(),
      confirmed: z.array(z.string()),
      portMapping: z.strictObject({
        state: z.enum(['off', 'searching', 'mapped', 'none']),
        protocol: z.string().optional(),
        address: z.string().optional(),
        confirmed: z.boolean().optional(),
        reason: z.string().optional()
      }),
      stun: z.array(
        z.strictObject({
          host: z.string(),
          port: z.int(),
          address: z.string().optional(),
          result: z.enum(['answered', 'silent', 'unresolved', 'unreachable', 'implausible']),
          ms: z.number().optional()
        })
      ),
      relays: z.array(
        z.strictObject({ peerId: z.string(), name: z.string(), address: z.string(), reserved: z.boolean(), latencyMs: z.number().optional() })
      ),
      ice: z.strictObject({ available: z.boolean(), reason: z.string().optional() }),
      turnServers: z.int(),
      ms: z.number(),
      findings: z.array(z.strictObject({ code: z.string(), message: z.string(), hint: z.string() }))
    }),
  route: { method: 'POST', path: '/v1/netcheck', scope: 'agent' }
})
