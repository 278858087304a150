
/*
 * The secret that signs a user's webhooks, and the deliveries of a job.
 */

#ifndef _NGX_HTTP_TASKFORGE_WEBHOOKS_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_WEBHOOKS_H_INCLUDED_


#include "ngx_http_taskforge_module.h"


/* GET /auth/webhook-secret: that there is one, not what it is */
void ngx_http_taskforge_webhook_secret_get(ngx_http_request_t *r);

/* POST /auth/webhook-secret: a new one, shown this once */
void ngx_http_taskforge_webhook_secret_rotate(ngx_http_request_t *r);

/* DELETE /auth/webhook-secret */
void ngx_http_taskforge_webhook_secret_delete(ngx_http_request_t *r);

/* GET /jobs/{id}/webhooks */
void ngx_http_taskforge_webhooks_list(ngx_http_request_t *r);

/* POST /jobs/{id}/webhooks/{id}/replay */
void ngx_http_taskforge_webhooks_replay(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TASKFORGE_WEBHOOKS_H_INCLUDED_ */
