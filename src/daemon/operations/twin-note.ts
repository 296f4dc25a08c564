import type { Contacts } from '../../mesh/mesh.ts'

interface Newcomer {
  readonly peerId: string
  /** What it calls itself; '' = nothing. */
  readonly name: string
  readonly alias?: string | undefined
}

/** What is to be said of a peer that was paired and calls itself what another one is called; undefined when its name, or the alias that it has, is its own. */
export async function twinNote(mesh: { readonly contacts: Pick<Contacts, 'list'> }, { peerId, name, alias }: Newcomer): Promise<string | undefined> {
  if (name === '' || (alias !== undefined && alias !== '')) return undefined
  const contacts = await mesh.contacts.list()
  const others = contacts.filter((other) => other.peerId !== peerId && (other.alias === name || other.pinnedName === name))
  if (others.length === 0) return undefined
  const isPinned = contacts.some((contact) => contact.peerId === peerId && contact.pinnedName === name)
  const isAmbiguous = isPinned && !others.some((other) => other.alias === name)
  return `Another peer is called ${name} too, and that name alone ${isAmbiguous ? 'is ambiguous now' : 'means the other one'}. Give this one a name of your own: synaptic-mesh p2p peer rename ${peerId} ALIAS (--as ALIAS does so at once).`
}
