import { traversalResults } from '../../core/nat/report.ts'
import { connectionPaths, natClasses, techniques, traversalMethods } from '../../core/nat/types.ts'
import { command, type Zod } from '../command.ts'
import { peer, timeoutMs, viaDirect } from './fields.ts'
import { errorReport, peerReference } from './shapes.ts'

/** Shares of peers; the rates are left out before the first peer. */
const rates = (z: Zod) => ({ count: z.int(), reachableRate: z.number().min(0).max(1).optional(), directRate: z.number().min(0).max(1).optional() })

/** The rates of `status`: over the node's life, and of the last 100. */
export const natRates = (z: Zod) => z.strictObject({ ...rates(z), last100: z.strictObject(rates(z)) })

export const nat = command({
  words: ['nat'],
  help: 'find the best way to a peer through NATs and firewalls, and tell both NAT classes and what was tried',
  fields: {
    peer,
    method: {
      type: 'choice',
      choices: traversalMethods,
      default: 'auto',
      help: 'auto: every way; stun: punching with STUN alone; turn: over a TURN server alone'
    },
    via: viaDirect,
    timeoutMs: timeoutMs(15_000)
  },
  examples: [
    'synaptic-mesh p2p nat peer-behind-nat --method auto',
    'synaptic-mesh p2p nat peer-stun --method stun',
    'synaptic-mesh p2p nat peer-relay --method turn'
  ],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'ONION_ONLY', 'NAT_METHOD_FAILED', 'PEER_UNREACHABLE', 'TIMEOUT'],
  output: (z) =>
    z.strictObject({
      peer: peerReference(z),
      method: z.enum(traversalMethods),
      result: z.enum(traversalResults),
      path: z.enum(connectionPaths).optional(),
      now: z.enum(connectionPaths).optional(),
      relay: peerReference(z).optional(),
      own: z.strictObject({ class: z.enum(natClasses) }),
      their: z.strictObject({ class: z.enum(natClasses) }),
      attempts: z.array(
        z.strictObject({
          method: z.enum(techniques),
          ok: z.boolean(),
          ms: z.number(),
          path: z.enum(connectionPaths).optional(),
          reason: z.string().optional()
        })
      ),
      reason: z.string().optional(),
      retryInS: z.number().optional(),
      usableMs: z.number().optional(),
      ms: z.number(),
      last100: z.strictObject(rates(z)),
      error: errorReport(z).optional()
    }),
  route: { method: 'POST', path: '/v1/nat', scope: 'agent' }
})
