import type { OutputOf, Operations } from '../../api/index.ts'
import type { Contact, ContactChange, PendingPeer } from '../../mesh/mesh.ts'
import { wireMessage } from '../convert.ts'
import { type Handler, present } from './context.ts'
import { twinNote } from './twin-note.ts'

type WireContact = OutputOf<Operations['peerList']>['peers'][number]
type WireStranger = OutputOf<Operations['pending']>['strangers'][number]

export const pending: Handler<'pending'> = async ({ show, limit }, { mesh }) => {
  const strangers = await mesh.contacts.pending({ show, limit })
  const { held } = await mesh.inbox.counts()
  return { strangers: strangers.map((stranger) => wireStranger(stranger, show)), messages: held }
}

export const approve: Handler<'approve'> = async ({ peer, as: alias, command: commands }, { mesh }) => {
  const change = await mesh.contacts.approve(peer, present({ alias, commands }))
  const { peerId, pinnedName } = change
  // A name that is taken was not pinned.
  const name = pinnedName === '' ? ((await mesh.peer(peerId)).claimedName ?? '') : pinnedName
  return { ...wireChange(change), ...present({ note: await twinNote(mesh, { peerId, name, alias: change.alias }) }) }
}

export const peerList: Handler<'peerList'> = async (_input, { mesh }) => ({ peers: (await mesh.contacts.list()).map(wireContact) })

export const peerRename: Handler<'peerRename'> = async ({ peer, alias }, { mesh }) => wireChange(await mesh.contacts.rename(peer, alias))

export const peerTrust: Handler<'peerTrust'> = async ({ peer, command: commands }, { mesh }) =>
  wireChange(await mesh.contacts.trust(peer, present({ commands })))

export const peerBlock: Handler<'peerBlock'> = async ({ peer, delete: deleteHeld }, { mesh }) =>
  wireChange(await mesh.contacts.block(peer, { deleteHeld }))

export const peerRemove: Handler<'peerRemove'> = async ({ peer }, { mesh }) => wireChange(await mesh.contacts.remove(peer))

function wireContact({ peerId, name, alias, pinnedName, paired, commands, blocked, connected, since }: Contact): WireContact {
  return { peerId, name, pinnedName, paired, commands, blocked, connected, ...present({ alias, since }) }
}

function wireChange(change: ContactChange): OutputOf<Operations['approve']> {
  const { released, held, deleted, unread, queued } = change
  return { ...wireContact(change), released, held, deleted, unread, queued }
}

function wireStranger(stranger: PendingPeer, show: boolean): WireStranger {
  const { peerId, name, claimedName, connected, blocked, messages, bytes, maxMessages, maxBytes, since, types, held } = stranger
  return {
    ...{ peerId, name, connected, blocked, messages, bytes, maxMessages, maxBytes, since },
    ...present({ claimedName }),
    types: [...types],
    ...(show ? { held: held.map(wireMessage) } : {})
  }
}
