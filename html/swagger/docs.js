'use strict';

// Swagger UI over /api/openapi.json. Who signs in above tries the operations with that token, which lives in this page alone;
// an API key goes into "Authorize".

document.getElementById('login').onsubmit = async (event) => {
  event.preventDefault();
  const said = document.getElementById('said');
  const fields = Object.fromEntries(new FormData(event.target));
  try {
    const answer = await fetch('/api/v1/auth/login', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(fields),
    });
    const json = await answer.json();
    if (!answer.ok) {
      throw new Error(json.detail || json.title);
    }
    ui.preauthorizeApiKey('bearer', json.access_token);
    said.textContent = `Signed in as ${fields.username} for ${Math.round(json.expires_in / 60)} minutes.`;
    event.target.reset();
  } catch (error) {
    said.textContent = error.message;
  }
};

const ui = window.SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
});
