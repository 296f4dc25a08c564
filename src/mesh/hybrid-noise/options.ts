import { type KemLevel, MeshError } from '../../core/base/index.ts'
import type { HybridNoiseOptions } from './hybrid-noise.ts'

const known: ReadonlySet<string> = new Set(['policy', 'levels', 'memory', 'onFailure'] satisfies (keyof HybridNoiseOptions)[])

/**
 * What was wanted, with its defaults. Programs without types call this too: a slip in `policy` may not end in connections that are classical.
 * @throws {MeshError} OPTION_UNKNOWN, OPTION_INVALID
 */
export function checkedOptions(options: HybridNoiseOptions): { readonly levels: ReadonlySet<KemLevel>; readonly isRequired: boolean } {
  if (typeof options !== 'object' || options === null) throw invalid('options', options, 'an object')
  const other = Object.keys(options).find((key) => !known.has(key))
  if (other !== undefined) throw new MeshError('OPTION_UNKNOWN', { path: other.slice(0, 80) })
  const { policy = 'prefer', levels = [3] } = options
  if (policy !== 'prefer' && policy !== 'require') throw invalid('policy', policy, 'prefer or require')
  if (!Array.isArray(levels) || levels.length === 0 || !levels.every(isLevel))
    throw invalid('levels', levels, 'an array with at least one of 1, 3, 5')
  return { levels: new Set(levels), isRequired: policy === 'require' }
}

const isLevel = (value: unknown): boolean => value === 1 || value === 3 || value === 5
const invalid = (path: string, value: unknown, allowed: string): MeshError =>
  new MeshError('OPTION_INVALID', { path, value: (JSON.stringify(value) ?? String(value)).slice(0, 80), allowed })
