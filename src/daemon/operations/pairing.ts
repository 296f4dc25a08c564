import type { Mesh } from '../../mesh/mesh.ts'
import { type Handler, present } from './context.ts'
import { twinNote } from './twin-note.ts'

export const invite: Handler<'invite'> = async (input, { mesh }) => {
  const { id, invite: text, expiresAt } = await mesh.invite({ expiresInS: input.expiresInS, commands: input.noCommand !== true })
  return { id, invite: text, expiresAt, ...pairingNote(mesh) }
}

export const inviteList: Handler<'inviteList'> = async (_input, { mesh }) => ({
  invites: (await mesh.invites.list()).map(({ usedBy, ...invite }) => ({
    ...invite,
    usedBy: usedBy === undefined ? undefined : { peerId: usedBy.peerId, name: usedBy.name }
  }))
})

export const inviteRevoke: Handler<'inviteRevoke'> = async ({ id }, { mesh }) => ({ id: await mesh.invites.revoke(id) })

export const inviteWait: Handler<'inviteWait'> = async ({ id, timeoutMs }, { mesh, signal }) => {
  const { peerId, name, alias, words } = await mesh.invites.wait(id, { timeoutMs, signal })
  const note = await twinNote(mesh, { peerId, name, alias })
  return { peerId, name, alias, words: words === undefined ? undefined : [...words], ...present({ note }) }
}

export const join: Handler<'join'> = async (input, { mesh, signal }) => {
  const options = { timeoutMs: input.timeoutMs, signal, commands: input.noCommand !== true, ...present({ alias: input.as }) }
  const { peerId, name, alias, words = [] } = await mesh.join(input.invite, options)
  const notes = [await twinNote(mesh, { peerId, name, alias }), pairingNote(mesh).note].filter((note) => note !== undefined)
  return { peerId, name, alias, words: [...words], ...(notes.length === 0 ? {} : { note: notes.join(' ') }) }
}

/** Pairing proves keys over a connection, and so shows to both sides and to whoever watches that these two met. */
function pairingNote({ options }: Mesh): { readonly note?: string } {
  if (!options.onionRouting) return {}
  return { note: 'Pairing goes over a direct connection: the two nodes, and whoever watches them, see that they met. Messages go over circuits.' }
}
