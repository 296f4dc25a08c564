import { MeshError } from '../../core/base/index.ts'
import type { PathPolicyName, PoolStatus } from '../../core/onion/index.ts'
import type { HealthFinding } from '../mesh.ts'

/** What is judged: the options, the circuits, and who is around. */
export interface OnionFacts {
  readonly options: { readonly onionPolicy: PathPolicyName; readonly mdns: boolean }
  readonly pool: Pick<PoolStatus, 'policy' | 'guards' | 'shortage' | 'broken'>
  /** Whether this node has a public address, and whether any relay that it knows has one. */
  readonly isPublic: boolean
  readonly knowsPublic: boolean
  /** Relays that are left out since circuits through them fail. */
  readonly dropped: readonly { readonly name: string; readonly builds: number; readonly failed: number }[]
}

/** A relay that was started again, or a network that was gone for a moment, breaks fewer. */
const manyBreaks = 5

/** What the user of a node with `onion_routing` should know, each with what can be done. */
export function onionFindings(facts: OnionFacts): readonly HealthFinding[] {
  const { options, pool, dropped } = facts
  const { shortage } = pool
  return [
    ...(shortage === undefined ? [] : [{ code: shortage.code, message: shortage.message, hint: shortage.hint }]),
    ...(shortage?.code === 'CIRCUIT_GUARDS_FAILED' ? [] : guardFindings(pool.guards)),
    ...lanFindings(facts),
    ...(options.mdns ? [mdnsFinding] : []),
    ...dropped.map(droppedFinding),
    ...(pool.broken < manyBreaks ? [] : [breaksFinding(pool.broken)])
  ]
}

/** Without a guard there are no circuits; with one left of several, they hang by it. */
function guardFindings({ known, failing }: PoolStatus['guards']): readonly HealthFinding[] {
  if (failing > 0 && failing >= known) {
    const { code, message, hint } = new MeshError('CIRCUIT_GUARDS_FAILED', { guards: known, until: 'one of them is back' })
    return [{ code, message, hint }]
  }
  return failing === 0 || known - failing !== 1
    ? []
    : [
        {
          code: 'ONION_GUARDS',
          message: `${failing} of the ${known} guards of this node ${failing === 1 ? 'is' : 'are'} not reached: circuits depend on the one that is left`,
          hint: 'A guard that is away is tried again by itself, and no other is taken for it, since whoever makes guards fail could lead circuits to relays of their own. When all of them fail, look whether this machine is online.'
        }
      ]
}

/** Among private addresses there is nothing to keep apart. */
function lanFindings({ options, pool, isPublic, knowsPublic }: OnionFacts): readonly HealthFinding[] {
  if (pool.policy !== 'lan' || !(isPublic || knowsPublic)) return []
  if (options.onionPolicy === 'lan')
    return [
      {
        code: 'ONION_LAN',
        message: 'onion_policy is lan: circuits may run within one network, over relays of one operator that nobody has known for long',
        hint: 'In a mesh over the Internet: synaptic-mesh p2p config set onion_policy auto'
      }
    ]
  return [
    {
      code: 'ONION_LAN',
      message:
        'This node has a public address, and no relay that it knows has one: circuits run within private networks, and the rules of onion_policy are waived',
      hint: 'Relays with public addresses of other operators make the difference (announce_addrs, bootstrap_peers). With onion_policy strict there are no circuits until then.'
    }
  ]
}

const mdnsFinding: HealthFinding = {
  code: 'ONION_MDNS',
  message: 'Circuits are on, and so is mDNS: everybody in the local network sees that this node is here, with its peer id',
  hint: 'Where that matters, name bootstrap_peers and then: synaptic-mesh p2p config set mdns false'
}

const droppedFinding = ({ name, builds, failed }: OnionFacts['dropped'][number]): HealthFinding => ({
  code: 'ONION_RELAY_DROPPED',
  message: `${failed} of the last ${builds} circuits through ${name} failed; it is left out for a while`,
  hint: 'It may be overloaded, or choose which circuits it lets through. Nothing needs to be done.'
})

const breaksFinding = (broken: number): HealthFinding => ({
  code: 'ONION_CIRCUITS_BREAK',
  message: `${broken} times within ten minutes circuits broke off while something ran over them`,
  hint: 'Durable messages wait and go over the next circuit: none is lost. A bad network does it as well as a relay or a peer that breaks circuits on purpose, and which one it was cannot be told. If nothing gets through, --via direct does, without hiding who you are.'
})
