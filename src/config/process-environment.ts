/** Environment variables of this process. Other rooms get from here what is not Strata's own, such as `NO_COLOR`. */
export function processEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
