import type { ZodType } from 'zod'
import { allowedOf, defaultOf } from './field-check.ts'
import type { Field, Fields, Zod } from './command.ts'

/** The input of a command as a zod schema, for documents and tools that want one; `checkInput` checks the same without zod. */
export function inputSchema(fields: Fields, z: Zod) {
  const sent = Object.entries(fields).filter(([, field]) => field.local !== true)
  return z.strictObject(Object.fromEntries(sent.map(([name, field]) => [name, fieldSchema(field, z)])))
}

function fieldSchema(field: Field, z: Zod): ZodType {
  const described = baseSchema(field, z).describe(`${field.help} (${allowedOf(field)})`)
  const value = defaultOf(field)
  if (value !== undefined) return described.prefault(value)
  return field.required === true ? described : described.optional()
}

function baseSchema(field: Field, z: Zod): ZodType {
  switch (field.type) {
    case 'text':
      return z
        .string()
        .min(field.min ?? 0)
        .max(field.max)
    case 'integer':
      return field.values === undefined ? z.int().min(field.min).max(field.max) : z.literal([...field.values])
    case 'seconds':
      return z.number().min(field.minMs).max(field.maxMs)
    case 'choice':
      return z.enum(field.choices)
    case 'boolean':
      return z.boolean()
    case 'list':
      return z
        .array(
          field.choices === undefined
            ? z
                .string()
                .min(field.takesEmpty === true ? 0 : 1)
                .max(field.maxCharacters)
            : z.enum(field.choices)
        )
        .max(field.maxItems)
  }
}
