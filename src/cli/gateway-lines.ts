import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { count, table, timeOf } from './text.ts'

/** Where the gateway listens, and what a client needs. */
export const gatewayLines = (value: OutputOf<Catalogue['gateway']>, output: Output): readonly string[] => [
  `${output.paint('green', '✓')} gateway ${value.started ? 'listens' : 'listens already'} on ${safe(value.url)}`,
  ...table([
    ['  description', `${safe(value.url)}/v1/openapi.json`],
    ['  metrics', `${safe(value.url)}/metrics`],
    ['  tokens', `${count(value.tokens, 'lasting token')}; those of this run in ${safe(value.tokenFolder)}`]
  ])
]

/** The tokens by name, with what they may do and until when. */
export const tokenLines = ({ tokens }: OutputOf<Catalogue['tokenList']>, output: Output): readonly string[] =>
  tokens.length === 0
    ? [`no lasting token; to make one: ${output.proposal('gateway token create --name NAME')}`]
    : table(
        tokens.map(({ name, scope, createdAt, expiresAt, expired, usedAt }) => [
          safe(name),
          scope,
          `made ${timeOf(createdAt)}`,
          expiresAt === undefined ? 'never expires' : expired ? `expired ${timeOf(expiresAt)}` : `until ${timeOf(expiresAt)}`,
          usedAt === undefined ? 'not used in this run' : `used ${timeOf(usedAt)}`
        ])
      )
