"""The HTTP side: webhooks, the API of billing services, and the customer's page."""
