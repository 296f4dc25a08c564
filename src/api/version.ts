/** The package's version; a test holds it to package.json. */
export const packageVersion = '0.1.0'
