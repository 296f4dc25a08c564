import { MeshError, safeText } from '../core/base/index.ts'
import { isPeerId, shortIdOf } from '../core/peers/index.ts'
import type { PairRecord } from './ports.ts'

const maxCharacters = 63

/** Whether a name stands for one of these peers already. */
export const isTaken = (name: string, others: readonly Pick<PairRecord, 'alias' | 'name'>[]): boolean =>
  others.some((pair) => pair.alias === name || pair.name === name)

/**
 * That a text can be the own name of a peer: 1 to 63 characters that every terminal shows as they are, no id, no address, and not what another peer is called.
 * @param others - the paired peers but this one @throws {MeshError} OPTION_INVALID
 */
export function checkAlias(alias: string, others: readonly Pick<PairRecord, 'alias' | 'name'>[]): void {
  const refuse = (allowed: string): MeshError => new MeshError('OPTION_INVALID', { path: 'alias', value: alias.slice(0, 80), allowed })
  if (alias === '' || alias.length > maxCharacters || !alias.isWellFormed() || safeText(alias) !== alias || alias.trim() !== alias)
    throw refuse(`1 to ${maxCharacters} characters, none that is invisible or turns the text, no space at either end`)
  if (isPeerId(alias) || alias.startsWith('/') || shortIdOf(alias) !== undefined) throw refuse('no peer id and no address')
  if (isTaken(alias, others)) throw refuse('a name that no other peer has')
}
