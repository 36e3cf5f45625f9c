const page = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: page.dataset.description,
  domNode: page,
  deepLinking: true,
  docExpansion: "list",
  persistAuthorization: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
