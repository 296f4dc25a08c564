import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { MeshError, wallMillis } from '../../core/base/index.ts'
import { maxInviteFailures } from '../../core/peers/index.ts'
import type { InviteRecord, PairRecord } from '../../mesh/ports.ts'
import { type Row, blob, number, text } from './rows.ts'

/** Invites that are kept at most; the one that expires first goes. */
export const keptInvites = 1_000

/** Paired peers and invites of one store. Used on the storage thread. */
export class PeerTable {
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database)
  }

  pairs(): readonly PairRecord[] {
    return this.#statements.pairs.all().map(pairOf)
  }

  savePair(pair: PairRecord): undefined {
    this.#statements.savePair.run(
      pair.publicKey,
      pair.peerId,
      pair.name,
      pair.alias,
      JSON.stringify(pair.addresses),
      pair.pairedAt,
      Number(pair.commands)
    )
  }

  saveInvite({ inviteId, secret, expiresAt, failures, usedBy, done, revoked, commands }: InviteRecord): undefined {
    this.#statements.saveInvite.run(inviteId, secret, expiresAt, failures, usedBy, Number(done), Number(revoked), Number(commands))
    this.#statements.trimInvites.run(keptInvites)
  }

  invite(inviteId: Uint8Array): InviteRecord | undefined {
    const row = this.#statements.invite.get(inviteId)
    return row === undefined ? undefined : inviteOf(row)
  }

  invites(): readonly InviteRecord[] {
    return this.#statements.invites.all().map(inviteOf)
  }

  /** The secret of an invite that too many failed for is erased. */
  failInvite(inviteId: Uint8Array): number {
    const row = this.#statements.failInvite.get(maxInviteFailures, inviteId)
    return row === undefined ? 0 : number(row, 'failures')
  }

  /** @throws {MeshError} INVITE_USED when another peer used it or it is burnt, INVITE_REVOKED, INVITE_INVALID when it is not known, PEER_BLOCKED; then nothing changes. */
  redeem(inviteId: Uint8Array, pair: PairRecord): undefined {
    const invite = this.invite(inviteId)
    if (invite === undefined) throw new MeshError('INVITE_INVALID', { reason: 'it is not known here' })
    if (invite.done || invite.failures >= maxInviteFailures || (invite.usedBy !== '' && invite.usedBy !== pair.peerId))
      throw new MeshError('INVITE_USED')
    if (invite.revoked) throw new MeshError('INVITE_REVOKED')
    if (this.#statements.block.get(pair.publicKey) !== undefined) throw new MeshError('PEER_BLOCKED', { peer: `…${pair.peerId.slice(-8)}` })
    this.#statements.burn.run(pair.peerId, inviteId)
    this.savePair(pair)
  }

  finishInvite(inviteId: Uint8Array): undefined {
    this.#statements.finish.run(inviteId)
  }

  revokeInvite(inviteId: Uint8Array): boolean {
    return this.#statements.revoke.run(inviteId).changes > 0
  }
}

function prepare(
  database: DatabaseSync
): Record<
  'pairs' | 'savePair' | 'saveInvite' | 'trimInvites' | 'invite' | 'invites' | 'failInvite' | 'burn' | 'finish' | 'revoke' | 'block',
  StatementSync
> {
  return {
    pairs: database.prepare('SELECT * FROM pairs ORDER BY paired_at, public_key'),
    savePair:
      database.prepare(`INSERT INTO pairs (public_key, peer_id, name, alias, addresses, paired_at, commands) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (public_key)
      DO UPDATE SET peer_id = excluded.peer_id, name = excluded.name, alias = excluded.alias, addresses = excluded.addresses, paired_at = excluded.paired_at,
        commands = excluded.commands`),
    saveInvite:
      database.prepare(`INSERT INTO invites (invite_id, secret, expires_at, failures, used_by, done, revoked, commands) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (invite_id) DO UPDATE SET secret = excluded.secret, expires_at = excluded.expires_at, failures = excluded.failures,
        used_by = excluded.used_by, done = excluded.done, revoked = excluded.revoked, commands = excluded.commands`),
    trimInvites: database.prepare(
      'DELETE FROM invites WHERE invite_id IN (SELECT invite_id FROM invites ORDER BY expires_at DESC LIMIT -1 OFFSET ?)'
    ),
    invite: database.prepare('SELECT * FROM invites WHERE invite_id = ?'),
    invites: database.prepare('SELECT * FROM invites ORDER BY expires_at DESC, invite_id'),
    failInvite: database.prepare(
      `UPDATE invites SET failures = failures + 1, secret = iif(failures + 1 >= ?, x'', secret) WHERE invite_id = ? RETURNING failures`
    ),
    burn: database.prepare(`UPDATE invites SET used_by = ?, secret = x'' WHERE invite_id = ?`),
    finish: database.prepare(`UPDATE invites SET done = 1 WHERE invite_id = ? AND used_by <> ''`),
    revoke: database.prepare(`UPDATE invites SET revoked = 1, secret = x'' WHERE invite_id = ? AND used_by = '' AND revoked = 0`),
    block: database.prepare('SELECT 1 FROM blocked WHERE public_key = ?')
  }
}

function pairOf(row: Row): PairRecord {
  const addresses: unknown = JSON.parse(text(row, 'addresses'))
  return {
    publicKey: blob(row, 'public_key'),
    peerId: text(row, 'peer_id'),
    name: text(row, 'name'),
    alias: text(row, 'alias'),
    addresses: Array.isArray(addresses) ? addresses.filter((address) => typeof address === 'string') : [],
    pairedAt: wallMillis(number(row, 'paired_at')),
    commands: number(row, 'commands') !== 0
  }
}

function inviteOf(row: Row): InviteRecord {
  return {
    inviteId: blob(row, 'invite_id'),
    secret: blob(row, 'secret'),
    expiresAt: wallMillis(number(row, 'expires_at')),
    failures: number(row, 'failures'),
    usedBy: text(row, 'used_by'),
    done: number(row, 'done') !== 0,
    revoked: number(row, 'revoked') !== 0,
    commands: number(row, 'commands') !== 0
  }
}
