import { type DialAddress, dialAddress } from '../core/base/dial-address.ts'
import { ipScope, isSameHost } from '../core/base/ip-scope.ts'

/** Who asks for a dial, as far as this node knows by itself. */
export interface Requester {
  readonly isPaired: boolean
  /** IP addresses from which it is connected directly. */
  readonly hosts: readonly string[]
  /** The same, and those of the relays over which it is connected. */
  readonly gates: readonly string[]
  /** Addresses on its signed card. */
  readonly cardAddresses: readonly string[]
}

export type DialPurpose = 'dial-back' | 'reversal'

const firstFreePort = 1_024
const webPorts: readonly number[] = [80, 443]

/** Whether this node dials `address` because `requester` asks: never a third party's, as far as it can tell (docs/wire/nat.md). */
export function isDialAllowed(purpose: DialPurpose, address: DialAddress, requester: Requester): boolean {
  const { scope, host, port } = address
  if (requester.hosts.some((observed) => isSameHost(observed, host))) return true
  if (port < firstFreePort && !webPorts.includes(port)) return false
  if (!requester.isPaired) return purpose === 'reversal' && scope === 'public' && requester.cardAddresses.some((text) => isSame(text, address))
  if (scope === 'public') return true
  if (purpose === 'dial-back') return false
  // Whoever calls from this machine may be called on it; nobody else is led to what listens here for nobody but it.
  return scope === 'private' || requester.gates.some((gate) => ipScope(gate) === scope)
}

const isSame = (text: string, address: DialAddress): boolean => dialAddress(text)?.text === address.text
