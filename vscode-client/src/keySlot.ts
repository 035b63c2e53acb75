/**
 * Return the name under which the secret store keeps the key for the endpoint at `baseUrl`; undefined where that is
 * no address.
 *
 * A key belongs to an origin: a workspace that names another address must not be handed the key of the first.
 */
export function keySlot(baseUrl: string): string | undefined {
  return baseUrl.trim() === '' ? 'goalmap.apiKey' : withOrigin(baseUrl);
}

/** Return the origin that the key for the endpoint at `baseUrl` belongs to; empty for the default endpoint. */
export function keyOrigin(baseUrl: string): string {
  return baseUrl.trim() === '' ? '' : new URL(baseUrl.trim()).origin;
}

function withOrigin(baseUrl: string): string | undefined {
  try {
    const { origin, protocol } = new URL(baseUrl.trim());
    return protocol === 'https:' || protocol === 'http:' ? `goalmap.apiKey@${origin}` : undefined;
  } catch {
    return undefined;
  }
}
